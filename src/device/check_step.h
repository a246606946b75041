// That a step fits the stage it is given to.
#pragma once

#include <string_view>

#include "device/device.h"

namespace mokume {

/// The engine promises all of this; a broken promise must not become a stray write. InvalidArgument
/// in the name of `room`: a step larger than the stage was made for; slices that do not cover the
/// tokens in order, or whose pages or states are outside what the stage has; rows of logits or, for
/// a stage with the embedding, token ids out of range.
Status check_step(std::string_view room, const StageStep& step, const StageOptions& options);

}  // namespace mokume
