// One block of any element type, as float32.
#pragma once

#include <cstddef>

#include "tensor/dtype.h"

namespace mokume {

/// Writes the dtype_info(type).block_elements values of the block at `block`, exactly; types with a
/// minimum round once, in adding it.
void dequantize_block(DType type, const std::byte* block, float* out);

}  // namespace mokume
