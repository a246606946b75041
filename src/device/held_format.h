// What a device's stage holds its weights in.
#pragma once

#include "device/device.h"

namespace mokume {

/// The format that a linear layer of `layer`, or the head, is converted to while it is loaded: what
/// the options ask for, but BF16 for E2M1 that an exact stage is to keep. The libraries that write
/// NVFP4 into directories give its values as BF16, and what is computed elsewhere with them is what
/// exact answers are compared with; GGUF's NVFP4 has values of its own. Otherwise a stage
/// multiplies what is stored.
WeightFormat held_format(const StageOptions& options, const LayerSpec& layer, const Linear& linear);
WeightFormat held_head_format(const StageOptions& options);

}  // namespace mokume
