// `mokume inspect`: what a checkpoint holds and what it will take.
#pragma once

#include <ostream>
#include <string>

#include "base/status.h"

namespace mokume {

/// Writes a table for people, or one JSON object, about the model at `model_path`. Nothing is
/// written on an error.
Status run_inspect(const std::string& model_path, bool json, std::ostream& out);

}  // namespace mokume
