// 16 lanes on AVX-512 with VNNI. Included by one .cc only, which is compiled for that instruction
// set.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mokume::kernels::avx512_vnni {

inline constexpr int kTokenTile = 8;  ///< tokens of a matmul tile
// A tile of attention: query rows times vectors of 16 keys, or of 16 elements of the output.
inline constexpr int kAttentionRows = 6;
inline constexpr int kAttentionVectors = 4;

inline constexpr int kSweepPanels = 2;        ///< panels of a swept tile
inline constexpr int kSweepTokens = 6;        ///< tokens whose sums are in registers at once
inline constexpr int kSweepTokensHalves = 4;  ///< the same, with two scales in 32 columns
inline constexpr int kSweepFrom = 17;         ///< tokens from which sweeping is faster

inline __mmask16 lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }

/// To the second cache; any address may be asked for.
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

struct Vec {
  __m512 v;

  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec set(float x) { return {_mm512_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load(const float* p, int n) { return {_mm512_maskz_loadu_ps(lanes(n), p)}; }
  static Vec load_f16(const void* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
  }
  static Vec load_bf16(const void* p) {
    const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
  }
  static Vec load_i8(const int8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
  }
  /// E4M3 as half floats of the same bits: 2^-8 of its value.
  static Vec load_e4m3(const void* p) {
    const __m256i bits = _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    // The sign went to bit 15 and, copied, to bit 14.
    return {
        _mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(bits, 7), _mm256_set1_epi16(~0x4000)))};
  }
  static Vec load_e4m3_magnitudes(const void* p) {
    const __m256i bits = _mm256_cvtepu8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    return {_mm512_cvtph_ps(_mm256_slli_epi16(bits, 7))};
  }
  /// 2^(e - 128) of bytes e, as a product of two powers that are both normal.
  static Vec load_halved_powers(const void* p) {
    const __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    const __m512i a = _mm512_srli_epi32(e, 1), b = _mm512_sub_epi32(e, a);
    const auto power = [](__m512i n) {
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(63)), 23));
    };
    return {_mm512_mul_ps(power(a), power(b))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int n) const { _mm512_mask_storeu_ps(p, lanes(n), v); }
  void store_f16(void* p) const {
    _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
};

inline uint16_t to_f16(float x) {
  return static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT));
}

inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
inline Vec round(Vec a) { return {_mm512_roundscale_ps(a.v, 8)}; }
/// a * 2^n for integral n in [-126, 127]
inline Vec scale_by_power(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
/// The first n lanes of a, the rest from b.
inline Vec first_lanes(int n, Vec a, Vec b) { return {_mm512_mask_mov_ps(b.v, lanes(n), a.v)}; }
inline float sum(Vec a) { return _mm512_reduce_add_ps(a.v); }
inline float largest(Vec a) { return _mm512_reduce_max_ps(a.v); }

/// 64 unsigned bytes: 4 columns of 16 rows.
struct Bytes {
  __m512i v;
  static Bytes load(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  /// From memory that is read from one end to the other. The hardware's prefetchers alone do not
  /// reach its speed at this density of loads.
  static Bytes stream(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p + 4096), _MM_HINT_T0);
    return load(p);
  }
  void store(uint8_t* p) const { _mm512_storeu_si512(p, v); }
};
inline Bytes low_nibbles(Bytes b) { return {_mm512_and_si512(b.v, _mm512_set1_epi8(15))}; }
inline Bytes high_nibbles(Bytes b) {
  return {_mm512_and_si512(_mm512_srli_epi16(b.v, 4), _mm512_set1_epi8(15))};
}
/// bytes | (high << kShift & mask), or >> -kShift; no bit of the mask may come from a neighbour.
template <int kShift>
Bytes or_shifted(Bytes bytes, Bytes high, int mask) {
  __m512i shifted = high.v;
  if constexpr (kShift > 0) shifted = _mm512_slli_epi16(high.v, kShift);
  if constexpr (kShift < 0) shifted = _mm512_srli_epi16(high.v, -kShift);
  constexpr int kAndThenOr = 0xea;
  return {_mm512_ternarylogic_epi32(shifted, _mm512_set1_epi8(static_cast<char>(mask)), bytes.v,
                                    kAndThenOr)};
}

/// table[nibble] of every byte.
inline Bytes look_up(const uint8_t (&table)[16], Bytes nibbles) {
  const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(sixteen), nibbles.v)};
}

/// Byte i of every row, as a float.
inline Vec byte_to_float(Bytes b, int i) {
  const __m512i shifted = _mm512_srl_epi32(b.v, _mm_cvtsi32_si128(8 * i));
  return {_mm512_cvtepi32_ps(_mm512_and_si512(shifted, _mm512_set1_epi32(255)))};
}

/// 16 sums of products, one a row.
struct Sums {
  __m512i v;
  static Sums zero() { return {_mm512_setzero_si512()}; }
  /// x << shift in every lane
  static Sums set_shifted(int32_t x, int shift) {
    return {_mm512_slli_epi32(_mm512_set1_epi32(x), shift)};
  }
};
inline Vec to_float(Sums s) { return {_mm512_cvtepi32_ps(s.v)}; }

typedef int32_t Quad __attribute__((may_alias));

/// Four activations in memory, for every row.
struct Four {
  const int8_t* values;
};
/// The same in a register, for several panels.
struct Quads {
  __m512i v;
  static Quads broadcast(const int8_t* four) {
    return {_mm512_set1_epi32(*reinterpret_cast<const Quad*>(four))};
  }
};

/// Adds weight[0..3] * activation[0..3] in every lane.
/// Inline assembly because g++ 12 spills accumulators around the intrinsic.
inline void add_products(Sums& s, Bytes weight, Four activation) {
  asm("vpdpbusd %2%{1to16%}, %1, %0"
      : "+v"(s.v)
      : "v"(weight.v), "m"(*reinterpret_cast<const Quad*>(activation.values)));
}
inline void add_products(Sums& s, Bytes weight, Quads activation) {
  asm("vpdpbusd %2, %1, %0" : "+v"(s.v) : "v"(weight.v), "v"(activation.v));
}

// Int8 weights are stored as value + 128, which the start value takes back.
inline Sums start_q8(int32_t negated_sum) { return Sums::set_shifted(negated_sum, 7); }
template <typename Activation>
inline void add_products_q8(Sums& s, Bytes weight, Activation activation) {
  add_products(s, weight, activation);
}

/// 16 pairs of int16.
struct Pairs {
  __m512i v;
  static Pairs load(const int16_t* p) { return {_mm512_loadu_si512(p)}; }
  /// The same pair in every lane.
  static Pairs repeat(const int16_t* two) {
    return {_mm512_set1_epi32(*reinterpret_cast<const Quad*>(two))};
  }
};
inline Pairs to_pairs(Bytes b) { return {b.v}; }
/// Adds both products of a pair in every lane.
inline void add_pair_products(Sums& s, Pairs a, Pairs b) {
  __m512i sum = s.v;  // an operand of its own, or g++ keeps arrays of sums in memory
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a.v), "v"(b.v));
  s.v = sum;
}

/// Rounds floats within [-32767, 32767] to int16.
inline void store_i16(Vec a, int16_t* out) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                      _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(a.v)));
}
/// The same as pairs: a[0], b[0], a[1], ...
inline void store_pairs(Vec a, Vec b, int16_t* out) {
  const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(b.v), 16);
  _mm512_storeu_si512(out, _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_cvtps_epi32(a.v), high));
}
/// 32 int8 as int16.
inline void widen_i8(const int8_t* in, int16_t* out) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in));
  _mm512_storeu_si512(out, _mm512_cvtepi8_epi16(bytes));
}

/// Sums of the two halves of 32 quants.
struct QuantSums {
  int first, second;
};

/// Rounds 32 floats, already within [-127, 127], to int8. NaN becomes 0.
inline QuantSums store_quants(Vec a, Vec b, int8_t* out) {
  const auto convert = [](Vec x) {
    const __mmask16 ordered = _mm512_cmp_ps_mask(x.v, x.v, _CMP_ORD_Q);
    return _mm512_maskz_cvtps_epi32(ordered, x.v);
  };
  const __m256i quants =
      _mm256_set_m128i(_mm512_cvtsepi32_epi8(convert(b)), _mm512_cvtsepi32_epi8(convert(a)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), quants);
  __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), quants);
  sums = _mm256_hadd_epi32(sums, sums);
  sums = _mm256_hadd_epi32(sums, sums);
  return {_mm256_extract_epi32(sums, 0), _mm256_extract_epi32(sums, 4)};
}

}  // namespace mokume::kernels::avx512_vnni
