#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kernels/common/half.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/tables.h"

namespace mokume::kernels {
namespace avx512_vnni {
namespace {

#include "kernels/cpu/elementwise-inl.h"
#include "kernels/cpu/kv-inl.h"
#include "kernels/cpu/tiles-inl.h"
// After them: these use exp, pages and tiles.
#include "kernels/cpu/attention-inl.h"
#include "kernels/cpu/delta_net-inl.h"
#include "kernels/cpu/matmul-inl.h"

}  // namespace
}  // namespace avx512_vnni

const CpuKernels& avx512_vnni_kernels() {
  static constexpr CpuKernels kTable{Isa::kAvx512Vnni,
                                     "avx512-vnni",
                                     avx512_vnni::quantize_rows,
                                     avx512_vnni::quantize_residuals,
                                     avx512_vnni::quantize_rows_wide,
                                     avx512_vnni::matmul_int8,
                                     avx512_vnni::matmul_int16,
                                     avx512_vnni::matmul_f32,
                                     avx512_vnni::rms_norm,
                                     avx512_vnni::silu_mul,
                                     avx512_vnni::sigmoid_mul,
                                     avx512_vnni::scale_to_length,
                                     avx512_vnni::conv_silu,
                                     avx512_vnni::delta_rule,
                                     avx512_vnni::rope,
                                     avx512_vnni::kv_append,
                                     avx512_vnni::attention,
                                     avx512_vnni::attention_part,
                                     avx512_vnni::attention_merge};
  return kTable;
}

}  // namespace mokume::kernels
