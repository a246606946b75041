// What the engine checks before its thread sees it.
#pragma once

#include "base/status.h"
#include "engine/engine.h"

namespace mokume {

/// InvalidArgument names the option and its bounds.
Status validate_options(const EngineOptions& options, size_t stages, size_t names);
/// InvalidArgument names the field. `max_positions`: most tokens of a sequence.
Status validate_request(const Request& request, int vocab_size, int max_positions);

}  // namespace mokume
