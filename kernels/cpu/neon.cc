#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/common/half.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd_neon.h"
#include "kernels/cpu/tables.h"

namespace mokume::kernels {
namespace neon {
namespace {

#include "kernels/cpu/elementwise-inl.h"
#include "kernels/cpu/kv-inl.h"
#include "kernels/cpu/tiles-inl.h"
// After them: these use exp, pages and tiles.
#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/delta_net-inl.h"
#include "kernels/cpu/matmul-inl.h"

}  // namespace
}  // namespace neon

const CpuKernels& neon_kernels() {
  static constexpr CpuKernels kTable{Isa::kNeonDot,
                                     "neon-dot",
                                     neon::quantize_rows,
                                     neon::quantize_residuals,
                                     neon::quantize_rows_wide,
                                     neon::matmul_int8,
                                     neon::matmul_int16,
                                     neon::matmul_f32,
                                     neon::rms_norm,
                                     neon::silu_mul,
                                     neon::sigmoid_mul,
                                     neon::scale_to_length,
                                     neon::conv_silu,
                                     neon::delta_rule,
                                     neon::rope,
                                     neon::kv_append,
                                     neon::attention,
                                     neon::attention_part,
                                     neon::attention_merge};
  return kTable;
}

}  // namespace mokume::kernels
