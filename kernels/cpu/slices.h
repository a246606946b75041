// What products by slices (src/device/cpu/slice_product.h) need beside the products themselves.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernels.h"

namespace mokume::kernels {

/// Rounds to nearest, ties to even. NaN stays NaN.
void to_bfloat16(const float* x, size_t count, uint16_t* out);

/// out[t * out.stride + n] (+)= sums[t * sums_stride + n] * factor, for n in [0, rows)
void put_sums(const float* sums, size_t sums_stride, float factor, int rows, int tokens,
              const MatmulOutput& out);

}  // namespace mokume::kernels
