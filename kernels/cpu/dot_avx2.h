// Dot products of bytes in AVX2. Included after simd_avx2.h.
#pragma once

#include "kernels/cpu/simd_avx2.h"

namespace mokume::kernels::avx2 {
namespace {

inline constexpr int kSweepPanels = 1;        ///< panels of a swept tile
inline constexpr int kSweepTokens = 2;        ///< tokens whose sums are in registers at once
inline constexpr int kSweepTokensHalves = 2;  ///< the same, with two scales in 32 columns
inline constexpr int kSweepFrom = 9;          ///< tokens from which sweeping is faster

typedef int32_t Quad __attribute__((may_alias));

/// Four activations for every row.
struct Quads {
  __m256i v;
  static Quads broadcast(const int8_t* four) {
    return {_mm256_set1_epi32(*reinterpret_cast<const Quad*>(four))};
  }
};
struct Four {
  const int8_t* values;
  operator Quads() const { return Quads::broadcast(values); }
};

inline __m256i add_pairs(__m256i sum, __m256i pairs) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/// Adds weight[0..3] * activation[0..3] in every lane, for weights up to 128 (a pair of products
/// must fit int16).
inline void add_products(Sums& s, Bytes weight, Quads activation) {
  const __m256i a = activation.v;
  s.lo = add_pairs(s.lo, _mm256_maddubs_epi16(weight.lo, a));
  s.hi = add_pairs(s.hi, _mm256_maddubs_epi16(weight.hi, a));
}

// Int8 weights are stored as value + 128: made signed again here, then |w| * (a with w's sign).
inline Sums start_q8(int32_t) { return Sums::zero(); }
inline void add_products_q8(Sums& s, Bytes weight, Quads activation) {
  const __m256i a = activation.v;
  const auto products = [a](__m256i stored) {
    const __m256i w = _mm256_xor_si256(stored, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(a, w));
  };
  s.lo = add_pairs(s.lo, products(weight.lo));
  s.hi = add_pairs(s.hi, products(weight.hi));
}

}  // namespace
}  // namespace mokume::kernels::avx2
