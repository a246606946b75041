#include "kernels/cpu/slices.h"

#include "kernels/common/half.h"
#include "kernels/cpu/clones.h"

namespace mokume::kernels {

MOKUME_CLONES void to_bfloat16(const float* x, size_t count, uint16_t* out) {
  for (size_t i = 0; i < count; ++i) out[i] = float_to_bfloat16(x[i]);
}

MOKUME_CLONES void put_sums(const float* sums, size_t sums_stride, float factor, int rows,
                            int tokens, const MatmulOutput& out) {
  for (int t = 0; t < tokens; ++t) {
    const float* from = sums + t * sums_stride;
    float* to = out.data + t * out.stride;
    if (out.accumulate) {
      for (int n = 0; n < rows; ++n) to[n] = to[n] + from[n] * factor;
    } else {
      for (int n = 0; n < rows; ++n) to[n] = from[n] * factor;
    }
  }
}

}  // namespace mokume::kernels
