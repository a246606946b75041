// 16 lanes as two AVX2 registers. Included by the .cc files that are compiled for AVX2 and more;
// each has functions of its own, since their instructions differ. The dot products are in
// dot_avx2.h and dot_avx_vnni.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mokume::kernels::avx2 {
namespace {

inline constexpr int kTokenTile = 2;
// A tile of attention: query rows times vectors of 16 keys, or of 16 elements of the output.
inline constexpr int kAttentionRows = 2;
inline constexpr int kAttentionVectors = 2;

/// Lane masks: all ones for the first n of 8 lanes, n in [0, 8].
inline __m256i lanes(int n) {
  alignas(32) static constexpr int32_t kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                    0,  0,  0,  0,  0,  0,  0,  0};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + 8 - n));
}
inline int low_count(int n) { return n < 8 ? n : 8; }
inline int high_count(int n) { return n < 8 ? 0 : n - 8; }

/// To the second cache; any address may be asked for.
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

struct Vec {
  __m256 lo, hi;

  static Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Vec set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Vec load(const float* p, int n) {
    return {_mm256_maskload_ps(p, lanes(low_count(n))),
            n > 8 ? _mm256_maskload_ps(p + 8, lanes(high_count(n))) : _mm256_setzero_ps()};
  }
  static Vec load_f16(const void* p) {
    const auto* halves = static_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
  }
  static Vec load_bf16(const void* p) {
    const auto widen = [](const __m128i* bits) {
      return _mm256_castsi256_ps(
          _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(bits)), 16));
    };
    const auto* halves = static_cast<const __m128i*>(p);
    return {widen(halves), widen(halves + 1)};
  }
  static Vec load_i8(const int8_t* p) {
    const auto widen = [](const int8_t* eight) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight));
      return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
    };
    return {widen(p), widen(p + 8)};
  }
  /// E4M3 as half floats of the same bits: 2^-8 of its value.
  static Vec load_e4m3(const void* p) {
    const __m256i bits = _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    // The sign went to bit 15 and, copied, to bit 14.
    return widen_f16(_mm256_and_si256(_mm256_slli_epi16(bits, 7), _mm256_set1_epi16(~0x4000)));
  }
  static Vec load_e4m3_magnitudes(const void* p) {
    const __m256i bits = _mm256_cvtepu8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    return widen_f16(_mm256_slli_epi16(bits, 7));
  }
  static Vec widen_f16(__m256i halves) {
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
  }
  /// 2^(e - 128) of bytes e, as a product of two powers that are both normal.
  static Vec load_halved_powers(const void* p) {
    const auto powers = [](const uint8_t* eight) {
      const __m256i e =
          _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(eight)));
      const __m256i a = _mm256_srli_epi32(e, 1), b = _mm256_sub_epi32(e, a);
      const auto power = [](__m256i n) {
        const __m256i biased = _mm256_add_epi32(n, _mm256_set1_epi32(63));
        return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
      };
      return _mm256_mul_ps(power(a), power(b));
    };
    const auto* bytes = static_cast<const uint8_t*>(p);
    return {powers(bytes), powers(bytes + 8)};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  void store(float* p, int n) const {
    _mm256_maskstore_ps(p, lanes(low_count(n)), lo);
    if (n > 8) _mm256_maskstore_ps(p + 8, lanes(high_count(n)), hi);
  }
  void store_f16(void* p) const {
    auto* halves = static_cast<__m128i*>(p);
    _mm_storeu_si128(halves, _mm256_cvtps_ph(lo, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(hi, _MM_FROUND_TO_NEAREST_INT));
  }
};

inline uint16_t to_f16(float x) {
  return static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT));
}

inline Vec operator+(Vec a, Vec b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline Vec operator-(Vec a, Vec b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline Vec operator*(Vec a, Vec b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline Vec operator/(Vec a, Vec b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline Vec fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline Vec abs(Vec a) {
  const __m256 mask = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return {_mm256_and_ps(a.lo, mask), _mm256_and_ps(a.hi, mask)};
}
inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
inline Vec round(Vec a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, kNearest), _mm256_round_ps(a.hi, kNearest)};
}
/// a * 2^n for integral n in [-126, 127]
inline Vec scale_by_power(Vec a, Vec n) {
  const auto power = [](__m256 x) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
  };
  return {_mm256_mul_ps(a.lo, power(n.lo)), _mm256_mul_ps(a.hi, power(n.hi))};
}
/// The first n lanes of a, the rest from b.
inline Vec first_lanes(int n, Vec a, Vec b) {
  const auto blend = [](__m256 x, __m256 y, int count) {
    return _mm256_blendv_ps(y, x, _mm256_castsi256_ps(lanes(count)));
  };
  return {blend(a.lo, b.lo, low_count(n)), blend(a.hi, b.hi, high_count(n))};
}
inline float sum(Vec a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
inline float largest(Vec a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

/// 64 unsigned bytes: 4 columns of 16 rows.
struct Bytes {
  __m256i lo, hi;
  static Bytes load(const uint8_t* p) {
    const auto* halves = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
  }
  /// From memory that is read from one end to the other. The hardware's prefetchers alone do not
  /// reach its speed at this density of loads.
  static Bytes stream(const uint8_t* p) {
    _mm_prefetch(reinterpret_cast<const char*>(p + 4096), _MM_HINT_T0);
    return load(p);
  }
  void store(uint8_t* p) const {
    auto* halves = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(halves, lo);
    _mm256_storeu_si256(halves + 1, hi);
  }
};
inline Bytes low_nibbles(Bytes b) {
  const __m256i mask = _mm256_set1_epi8(15);
  return {_mm256_and_si256(b.lo, mask), _mm256_and_si256(b.hi, mask)};
}
inline Bytes high_nibbles(Bytes b) {
  return low_nibbles({_mm256_srli_epi16(b.lo, 4), _mm256_srli_epi16(b.hi, 4)});
}
/// bytes | (high << kShift & mask), or >> -kShift; no bit of the mask may come from a neighbour.
template <int kShift>
Bytes or_shifted(Bytes bytes, Bytes high, int mask) {
  const auto combine = [mask](__m256i low, __m256i bits) {
    if constexpr (kShift > 0) bits = _mm256_slli_epi16(bits, kShift);
    if constexpr (kShift < 0) bits = _mm256_srli_epi16(bits, -kShift);
    const __m256i wanted = _mm256_set1_epi8(static_cast<char>(mask));
    return _mm256_or_si256(low, _mm256_and_si256(bits, wanted));
  };
  return {combine(bytes.lo, high.lo), combine(bytes.hi, high.hi)};
}

/// table[nibble] of every byte.
inline Bytes look_up(const uint8_t (&table)[16], Bytes nibbles) {
  const __m256i twice =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm256_shuffle_epi8(twice, nibbles.lo), _mm256_shuffle_epi8(twice, nibbles.hi)};
}

/// Byte i of every row, as a float.
inline Vec byte_to_float(Bytes b, int i) {
  const auto widen = [i](__m256i x) {
    const __m256i shifted = _mm256_srl_epi32(x, _mm_cvtsi32_si128(8 * i));
    return _mm256_cvtepi32_ps(_mm256_and_si256(shifted, _mm256_set1_epi32(255)));
  };
  return {widen(b.lo), widen(b.hi)};
}

/// 16 sums of products, one a row.
struct Sums {
  __m256i lo, hi;
  static Sums zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  /// x << shift in every lane
  static Sums set_shifted(int32_t x, int shift) {
    const __m256i all = _mm256_slli_epi32(_mm256_set1_epi32(x), shift);
    return {all, all};
  }
};
inline Vec to_float(Sums s) { return {_mm256_cvtepi32_ps(s.lo), _mm256_cvtepi32_ps(s.hi)}; }

/// 16 pairs of int16.
struct Pairs {
  __m256i lo, hi;
  static Pairs load(const int16_t* p) {
    const auto* halves = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
  }
  /// The same pair in every lane.
  static Pairs repeat(const int16_t* two) {
    typedef int32_t Both __attribute__((may_alias));
    const __m256i all = _mm256_set1_epi32(*reinterpret_cast<const Both*>(two));
    return {all, all};
  }
};
inline Pairs to_pairs(Bytes b) { return {b.lo, b.hi}; }
/// Adds both products of a pair in every lane.
inline void add_pair_products(Sums& s, Pairs a, Pairs b) {
  s.lo = _mm256_add_epi32(s.lo, _mm256_madd_epi16(a.lo, b.lo));
  s.hi = _mm256_add_epi32(s.hi, _mm256_madd_epi16(a.hi, b.hi));
}

/// Rounds floats within [-32767, 32767] to int16.
inline void store_i16(Vec a, int16_t* out) {
  const __m256i mixed = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute4x64_epi64(mixed, 0xd8));
}
/// The same as pairs: a[0], b[0], a[1], ...
inline void store_pairs(Vec a, Vec b, int16_t* out) {
  const auto pairs = [](__m256 low, __m256 high) {
    return _mm256_blend_epi16(_mm256_cvtps_epi32(low),
                              _mm256_slli_epi32(_mm256_cvtps_epi32(high), 16), 0xaa);
  };
  auto* halves = reinterpret_cast<__m256i*>(out);
  _mm256_storeu_si256(halves, pairs(a.lo, b.lo));
  _mm256_storeu_si256(halves + 1, pairs(a.hi, b.hi));
}
/// 32 int8 as int16.
inline void widen_i8(const int8_t* in, int16_t* out) {
  const auto* bytes = reinterpret_cast<const __m128i*>(in);
  auto* halves = reinterpret_cast<__m256i*>(out);
  _mm256_storeu_si256(halves, _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes)));
  _mm256_storeu_si256(halves + 1, _mm256_cvtepi8_epi16(_mm_loadu_si128(bytes + 1)));
}

/// Sums of the two halves of 32 quants.
struct QuantSums {
  int first, second;
};

/// Rounds 32 floats, already within [-127, 127], to int8. NaN becomes 0.
inline QuantSums store_quants(Vec a, Vec b, int8_t* out) {
  const auto convert = [](__m256 x) {
    const __m256 ordered = _mm256_cmp_ps(x, x, _CMP_ORD_Q);
    return _mm256_cvtps_epi32(_mm256_and_ps(x, ordered));
  };
  const __m256i q0 = convert(a.lo), q1 = convert(a.hi), q2 = convert(b.lo), q3 = convert(b.hi);
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q0, q1), _mm256_packs_epi32(q2, q3));
  const __m256i ordered =
      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), ordered);
  const auto sum = [](__m256i eight) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  };
  return {sum(_mm256_add_epi32(q0, q1)), sum(_mm256_add_epi32(q2, q3))};
}

}  // namespace
}  // namespace mokume::kernels::avx2
