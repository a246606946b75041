// Which tensors a format is for, and what the others become.
#pragma once

#include "base/status.h"
#include "quantize/part.h"
#include "tensor/weight_format.h"

namespace mokume {

enum class Container : uint8_t { kDirectory, kGguf };

/// InvalidArgument for formats that a container has not got.
Status check_format(WeightFormat format, Container container);

/// The type that a matrix is stored in (biases, norms and the like are always F32):
///   fp16, bf16    every matrix
///   int8, nvfp4   projections; in a directory the rest is BF16 where it was, otherwise F16
///   nvfp4, q8_0   in GGUF: embedding and head in Q8_0; q8_0 also the projections
/// A row that is no whole number of blocks takes the next best: NVFP4 Q8_0 in GGUF, otherwise BF16
/// or F16 as above. The two small projections of the delta net (a, b) are never below 16 bits.
DType stored_type(const Part& part, WeightFormat format, Container container);

}  // namespace mokume
