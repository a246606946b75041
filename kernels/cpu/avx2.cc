#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/common/half.h"
#include "kernels/cpu/dot_avx2.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd_avx2.h"
#include "kernels/cpu/tables.h"

namespace mokume::kernels {
namespace avx2 {
namespace {

#include "kernels/cpu/elementwise-inl.h"
#include "kernels/cpu/kv-inl.h"
#include "kernels/cpu/tiles-inl.h"
// After them: these use exp, pages and tiles.
#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/delta_net-inl.h"
#include "kernels/cpu/matmul-inl.h"

}  // namespace
}  // namespace avx2

const CpuKernels& avx2_kernels() {
  static constexpr CpuKernels kTable{Isa::kAvx2,
                                     "avx2",
                                     avx2::quantize_rows,
                                     avx2::quantize_residuals,
                                     avx2::quantize_rows_wide,
                                     avx2::matmul_int8,
                                     avx2::matmul_int16,
                                     avx2::matmul_f32,
                                     avx2::rms_norm,
                                     avx2::silu_mul,
                                     avx2::sigmoid_mul,
                                     avx2::scale_to_length,
                                     avx2::conv_silu,
                                     avx2::delta_rule,
                                     avx2::rope,
                                     avx2::kv_append,
                                     avx2::attention,
                                     avx2::attention_part,
                                     avx2::attention_merge};
  return kTable;
}

}  // namespace mokume::kernels
