// `mokume devices`: what this machine could run stages on.
#pragma once

#include <ostream>

#include "base/status.h"

namespace mokume {

/// Writes the CPU and the CUDA devices, or why there are none of those, as a table for people or as
/// one JSON object.
Status run_devices(bool json, std::ostream& out);

}  // namespace mokume
