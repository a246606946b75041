// 16 lanes as four NEON registers, with the dot product of Armv8.2. Included by one .cc only, which
// is compiled for that instruction set.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace mokume::kernels::neon {

inline constexpr int kTokenTile = 4;
// A tile of attention: query rows times vectors of 16 keys, or of 16 elements of the output.
inline constexpr int kAttentionRows = 2;
inline constexpr int kAttentionVectors = 2;

inline constexpr int kSweepPanels = 1;        ///< panels of a swept tile
inline constexpr int kSweepTokens = 4;        ///< tokens whose sums are in registers at once
inline constexpr int kSweepTokensHalves = 3;  ///< the same, with two scales in 32 columns
inline constexpr int kSweepFrom = 9;          ///< tokens from which sweeping is faster

/// Calls body(i) for each of the four registers.
template <typename Body>
[[gnu::always_inline]] inline void for_quarters(const Body& body) {
  body(0);
  body(1);
  body(2);
  body(3);
}

inline uint32x4_t first_of(int n, int quarter) {
  static constexpr uint32_t kIndex[4] = {0, 1, 2, 3};
  return vcltq_s32(vreinterpretq_s32_u32(vld1q_u32(kIndex)), vdupq_n_s32(n - 4 * quarter));
}

/// Asks for memory; any address may be asked for.
inline void prefetch(const void* p) { __builtin_prefetch(p); }

struct Vec {
  float32x4_t q[4];

  static Vec of(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d) {
    return {{a, b, c, d}};
  }
  static Vec zero() { return set(0); }
  static Vec set(float x) {
    const float32x4_t all = vdupq_n_f32(x);
    return {{all, all, all, all}};
  }
  static Vec load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  static Vec load(const float* p, int n) {
    float padded[16] = {};
    std::memcpy(padded, p, static_cast<size_t>(n) * sizeof(float));
    return load(padded);
  }
  static Vec widen_f16(uint16x8_t low, uint16x8_t high) {
    const float16x8_t a = vreinterpretq_f16_u16(low), b = vreinterpretq_f16_u16(high);
    return {{vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a), vcvt_f32_f16(vget_low_f16(b)),
             vcvt_high_f32_f16(b)}};
  }
  static Vec load_f16(const void* p) {
    const auto* halves = static_cast<const uint16_t*>(p);
    return widen_f16(vld1q_u16(halves), vld1q_u16(halves + 8));
  }
  static Vec load_bf16(const void* p) {
    const auto* bits = static_cast<const uint16_t*>(p);
    Vec v;
    for_quarters(
        [&](int i) { v.q[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(bits + 4 * i), 16)); });
    return v;
  }
  static Vec load_i8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    return from_i16(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
  }
  static Vec from_i16(int16x8_t low, int16x8_t high) {
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
  }
  /// E4M3 as half floats of the same bits: 2^-8 of its value.
  static Vec load_e4m3(const void* p) {
    const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(static_cast<const uint8_t*>(p)));
    const auto half = [](int16x8_t wide) {
      // The sign went to bit 15 and, copied, to bit 14.
      return vandq_u16(vshlq_n_u16(vreinterpretq_u16_s16(wide), 7), vdupq_n_u16(0xbfff));
    };
    return widen_f16(half(vmovl_s8(vget_low_s8(bytes))), half(vmovl_high_s8(bytes)));
  }
  static Vec load_e4m3_magnitudes(const void* p) {
    const uint8x16_t bytes = vld1q_u8(static_cast<const uint8_t*>(p));
    return widen_f16(vshll_n_u8(vget_low_u8(bytes), 7), vshll_high_n_u8(bytes, 7));
  }
  /// 2^(e - 128) of bytes e, as a product of two powers that are both normal.
  static Vec load_halved_powers(const void* p) {
    const uint8x16_t bytes = vld1q_u8(static_cast<const uint8_t*>(p));
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    const uint32x4_t e[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low),
                             vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)};
    const auto power = [](uint32x4_t n) {
      return vreinterpretq_f32_u32(vshlq_n_u32(vaddq_u32(n, vdupq_n_u32(63)), 23));
    };
    Vec v;
    for_quarters([&](int i) {
      const uint32x4_t half = vshrq_n_u32(e[i], 1);
      v.q[i] = vmulq_f32(power(half), power(vsubq_u32(e[i], half)));
    });
    return v;
  }
  void store(float* p) const {
    for_quarters([&](int i) { vst1q_f32(p + 4 * i, q[i]); });
  }
  void store(float* p, int n) const {
    float padded[16];
    store(padded);
    std::memcpy(p, padded, static_cast<size_t>(n) * sizeof(float));
  }
  void store_f16(void* p) const {
    auto* halves = static_cast<uint16_t*>(p);
    for_quarters(
        [&](int i) { vst1_u16(halves + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(q[i]))); });
  }
};

inline uint16_t to_f16(float x) {
  const float16x4_t halves = vcvt_f16_f32(vdupq_n_f32(x));
  return vget_lane_u16(vreinterpret_u16_f16(halves), 0);
}

/// f(register of a, register of b) of all four.
template <typename F>
[[gnu::always_inline]] inline Vec combine(Vec a, Vec b, const F& f) {
  return {{f(a.q[0], b.q[0]), f(a.q[1], b.q[1]), f(a.q[2], b.q[2]), f(a.q[3], b.q[3])}};
}

inline Vec operator+(Vec a, Vec b) { return combine(a, b, vaddq_f32); }
inline Vec operator-(Vec a, Vec b) { return combine(a, b, vsubq_f32); }
inline Vec operator*(Vec a, Vec b) { return combine(a, b, vmulq_f32); }
inline Vec operator/(Vec a, Vec b) { return combine(a, b, vdivq_f32); }
inline Vec fma(Vec a, Vec b, Vec c) {
  return {{vfmaq_f32(c.q[0], a.q[0], b.q[0]), vfmaq_f32(c.q[1], a.q[1], b.q[1]),
           vfmaq_f32(c.q[2], a.q[2], b.q[2]), vfmaq_f32(c.q[3], a.q[3], b.q[3])}};
}
// Of a number and NaN, the number.
inline Vec max(Vec a, Vec b) { return combine(a, b, vmaxnmq_f32); }
inline Vec min(Vec a, Vec b) { return combine(a, b, vminnmq_f32); }
inline Vec abs(Vec a) {
  return {{vabsq_f32(a.q[0]), vabsq_f32(a.q[1]), vabsq_f32(a.q[2]), vabsq_f32(a.q[3])}};
}
inline Vec sqrt(Vec a) {
  return {{vsqrtq_f32(a.q[0]), vsqrtq_f32(a.q[1]), vsqrtq_f32(a.q[2]), vsqrtq_f32(a.q[3])}};
}
inline Vec round(Vec a) {
  return {{vrndnq_f32(a.q[0]), vrndnq_f32(a.q[1]), vrndnq_f32(a.q[2]), vrndnq_f32(a.q[3])}};
}
/// a * 2^n for integral n in [-126, 127]
inline Vec scale_by_power(Vec a, Vec n) {
  return combine(a, n, [](float32x4_t x, float32x4_t power) {
    const int32x4_t biased = vaddq_s32(vcvtq_s32_f32(power), vdupq_n_s32(127));
    return vmulq_f32(x, vreinterpretq_f32_s32(vshlq_n_s32(biased, 23)));
  });
}
/// The first n lanes of a, the rest from b.
inline Vec first_lanes(int n, Vec a, Vec b) {
  Vec v;
  for_quarters([&](int i) { v.q[i] = vbslq_f32(first_of(n, i), a.q[i], b.q[i]); });
  return v;
}
inline float sum(Vec a) {
  return vaddvq_f32(vaddq_f32(vaddq_f32(a.q[0], a.q[1]), vaddq_f32(a.q[2], a.q[3])));
}
inline float largest(Vec a) {
  return vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(a.q[0], a.q[1]), vmaxnmq_f32(a.q[2], a.q[3])));
}

/// 64 unsigned bytes: 4 columns of 16 rows.
struct Bytes {
  uint8x16_t q[4];
  static Bytes load(const uint8_t* p) {
    return {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
  }
  static Bytes stream(const uint8_t* p) { return load(p); }
  void store(uint8_t* p) const {
    for_quarters([&](int i) { vst1q_u8(p + 16 * i, q[i]); });
  }
};
inline Bytes low_nibbles(Bytes b) {
  for_quarters([&](int i) { b.q[i] = vandq_u8(b.q[i], vdupq_n_u8(15)); });
  return b;
}
inline Bytes high_nibbles(Bytes b) {
  for_quarters([&](int i) { b.q[i] = vshrq_n_u8(b.q[i], 4); });
  return b;
}
/// bytes | (high << kShift & mask), or >> -kShift.
template <int kShift>
Bytes or_shifted(Bytes bytes, Bytes high, int mask) {
  for_quarters([&](int i) {
    const uint8x16_t shifted = vshlq_u8(high.q[i], vdupq_n_s8(kShift));
    const uint8x16_t wanted = vandq_u8(shifted, vdupq_n_u8(static_cast<uint8_t>(mask)));
    bytes.q[i] = vorrq_u8(bytes.q[i], wanted);
  });
  return bytes;
}

/// table[nibble] of every byte.
inline Bytes look_up(const uint8_t (&table)[16], Bytes nibbles) {
  const uint8x16_t sixteen = vld1q_u8(table);
  for_quarters([&](int i) { nibbles.q[i] = vqtbl1q_u8(sixteen, nibbles.q[i]); });
  return nibbles;
}

/// Byte i of every row, as a float.
inline Vec byte_to_float(Bytes b, int byte) {
  Vec v;
  for_quarters([&](int i) {
    const uint32x4_t shifted = vshlq_u32(vreinterpretq_u32_u8(b.q[i]), vdupq_n_s32(-8 * byte));
    v.q[i] = vcvtq_f32_u32(vandq_u32(shifted, vdupq_n_u32(255)));
  });
  return v;
}

/// 16 sums of products, one a row.
struct Sums {
  int32x4_t q[4];
  static Sums set(int32_t x) {
    const int32x4_t all = vdupq_n_s32(x);
    return {{all, all, all, all}};
  }
  static Sums zero() { return set(0); }
  /// x << shift in every lane
  static Sums set_shifted(int32_t x, int shift) {
    return set(static_cast<int32_t>(static_cast<uint32_t>(x) << shift));
  }
};
inline Vec to_float(Sums s) {
  return {
      {vcvtq_f32_s32(s.q[0]), vcvtq_f32_s32(s.q[1]), vcvtq_f32_s32(s.q[2]), vcvtq_f32_s32(s.q[3])}};
}

/// Four activations for every row.
struct Quads {
  int8x16_t v;
  static Quads broadcast(const int8_t* four) {
    int32_t quad;
    std::memcpy(&quad, four, sizeof(quad));
    return {vreinterpretq_s8_s32(vdupq_n_s32(quad))};
  }
};
struct Four {
  const int8_t* values;
  operator Quads() const { return Quads::broadcast(values); }
};

/// Adds weight[0..3] * activation[0..3] in every lane, for weights up to 127.
inline void add_products(Sums& s, Bytes weight, Quads activation) {
  for_quarters(
      [&](int i) { s.q[i] = vdotq_s32(s.q[i], vreinterpretq_s8_u8(weight.q[i]), activation.v); });
}

// Int8 weights are stored as value + 128: made signed again here.
inline Sums start_q8(int32_t) { return Sums::zero(); }
inline void add_products_q8(Sums& s, Bytes weight, Quads activation) {
  for_quarters([&](int i) { weight.q[i] = veorq_u8(weight.q[i], vdupq_n_u8(128)); });
  add_products(s, weight, activation);
}

/// 16 pairs of int16.
struct Pairs {
  int16x8_t q[4];
  static Pairs load(const int16_t* p) {
    return {{vld1q_s16(p), vld1q_s16(p + 8), vld1q_s16(p + 16), vld1q_s16(p + 24)}};
  }
  /// The same pair in every lane.
  static Pairs repeat(const int16_t* two) {
    int32_t pair;
    std::memcpy(&pair, two, sizeof(pair));
    const int16x8_t all = vreinterpretq_s16_s32(vdupq_n_s32(pair));
    return {{all, all, all, all}};
  }
};
inline Pairs to_pairs(Bytes b) {
  return {{vreinterpretq_s16_u8(b.q[0]), vreinterpretq_s16_u8(b.q[1]), vreinterpretq_s16_u8(b.q[2]),
           vreinterpretq_s16_u8(b.q[3])}};
}
/// Adds both products of a pair in every lane.
inline void add_pair_products(Sums& s, Pairs a, Pairs b) {
  for_quarters([&](int i) {
    const int32x4_t low = vmull_s16(vget_low_s16(a.q[i]), vget_low_s16(b.q[i]));
    s.q[i] = vaddq_s32(s.q[i], vpaddq_s32(low, vmull_high_s16(a.q[i], b.q[i])));
  });
}

/// 8 floats of x, from register `first` on, rounded to int16.
inline int16x8_t to_i16(Vec x, int first) {
  return vcombine_s16(vqmovn_s32(vcvtnq_s32_f32(x.q[first])),
                      vqmovn_s32(vcvtnq_s32_f32(x.q[first + 1])));
}
/// Rounds floats within [-32767, 32767] to int16.
inline void store_i16(Vec a, int16_t* out) {
  vst1q_s16(out, to_i16(a, 0));
  vst1q_s16(out + 8, to_i16(a, 2));
}
/// The same as pairs: a[0], b[0], a[1], ...
inline void store_pairs(Vec a, Vec b, int16_t* out) {
  for (int half = 0; half < 4; half += 2) {
    const int16x8_t x = to_i16(a, half), y = to_i16(b, half);
    vst1q_s16(out + 8 * half, vzip1q_s16(x, y));
    vst1q_s16(out + 8 * half + 8, vzip2q_s16(x, y));
  }
}
/// 32 int8 as int16.
inline void widen_i8(const int8_t* in, int16_t* out) {
  for (int i = 0; i < 32; i += 8) vst1q_s16(out + i, vmovl_s8(vld1_s8(in + i)));
}

/// Sums of the two halves of 32 quants.
struct QuantSums {
  int first, second;
};

/// Rounds 32 floats, already within [-127, 127], to int8. NaN becomes 0.
inline QuantSums store_quants(Vec a, Vec b, int8_t* out) {
  const auto store = [](Vec x, int8_t* to) {
    const int8x16_t quants = vcombine_s8(vqmovn_s16(to_i16(x, 0)), vqmovn_s16(to_i16(x, 2)));
    vst1q_s8(to, quants);
    return static_cast<int>(vaddlvq_s8(quants));
  };
  const int first = store(a, out);
  return {first, store(b, out + 16)};
}

}  // namespace mokume::kernels::neon
