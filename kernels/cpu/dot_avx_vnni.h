// Dot products of bytes with AVX-VNNI. Included after simd_avx2.h.
#pragma once

#include "kernels/cpu/simd_avx2.h"

namespace mokume::kernels::avx2 {
namespace {

inline constexpr int kSweepPanels = 1;        ///< panels of a swept tile
inline constexpr int kSweepTokens = 3;        ///< tokens whose sums are in registers at once
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

inline __m256i add_products(__m256i sums, __m256i weight, __m256i activation) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(weight), "x"(activation));
  return sums;
}

/// Adds weight[0..3] * activation[0..3] in every lane.
inline void add_products(Sums& s, Bytes weight, Quads activation) {
  s.lo = add_products(s.lo, weight.lo, activation.v);
  s.hi = add_products(s.hi, weight.hi, activation.v);
}

// Int8 weights are stored as value + 128, which the start value takes back.
inline Sums start_q8(int32_t negated_sum) { return Sums::set_shifted(negated_sum, 7); }
inline void add_products_q8(Sums& s, Bytes weight, Quads activation) {
  add_products(s, weight, activation);
}

}  // namespace
}  // namespace mokume::kernels::avx2
