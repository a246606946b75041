// What both targets of portable.cuh share: conversions and reductions.
#pragma once

namespace mokume::cuda::MKM_TARGET {

MKM_DEVICE int lane_id() { return static_cast<int>(thread_x() % kWarp); }
MKM_DEVICE int warp_id() { return static_cast<int>(thread_x() / kWarp); }

MKM_DEVICE float to_float(float x) { return x; }
MKM_DEVICE float to_float(Half x) { return half_bits_to_float(x.bits); }
MKM_DEVICE float to_float(BFloat16 x) { return bits_to_float(static_cast<uint32_t>(x.bits) << 16); }
MKM_DEVICE float to_float(int8_t x) { return static_cast<float>(x); }
/// E4M3 without its sign has the bits of a half of 2^-8 of its value.
MKM_DEVICE float to_float(Fp8 x) {
  const uint32_t half = ((x.bits & 0x80u) << 8) | ((x.bits & 0x7fu) << 7);
  return half_bits_to_float(static_cast<uint16_t>(half)) * 256.0f;
}

/// To the nearest, ties to even. int8 saturates at 127, Fp8 at 448.
template <typename T>
MKM_DEVICE T from_float(float x);
template <>
MKM_DEVICE float from_float<float>(float x) {
  return x;
}
template <>
MKM_DEVICE Half from_float<Half>(float x) {
  return {float_to_half_bits(x)};
}
template <>
MKM_DEVICE BFloat16 from_float<BFloat16>(float x) {
  const uint32_t bits = float_to_bits(x);
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
template <>
MKM_DEVICE int8_t from_float<int8_t>(float x) {
  return static_cast<int8_t>(rintf(fminf(fmaxf(x, -127.0f), 127.0f)));
}
template <>
MKM_DEVICE Fp8 from_float<Fp8>(float x) {
  const uint32_t bits = float_to_bits(x);
  const uint32_t sign = (bits >> 24) & 0x80;
  const float magnitude = fminf(fabsf(x), 448.0f);
  if (magnitude < 0x1p-6f) {  // subnormal
    return {static_cast<uint8_t>(sign | static_cast<uint32_t>(rintf(magnitude * 512.0f)))};
  }
  const uint32_t m = float_to_bits(magnitude);
  const uint32_t rounded = (m + 0x7ffff + ((m >> 20) & 1)) >> 20;
  return {static_cast<uint8_t>(sign | (rounded - (120u << 3)))};
}

/// To the nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6, ties to the even code; larger ones become 6.
MKM_DEVICE uint32_t to_e2m1(float x) {
  const float a = fabsf(x);
  const int code = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) +
                   (a >= 3.5f) + (a > 5.0f);
  return static_cast<uint32_t>(code) | ((float_to_bits(x) >> 28) & 8u);
}

MKM_DEVICE uint32_t byte_of(int8_t x) { return static_cast<uint8_t>(x); }
MKM_DEVICE uint32_t byte_of(Fp8 x) { return x.bits; }

/// Largest magnitude of a type that has scales.
template <typename T>
struct Largest;
template <>
struct Largest<int8_t> {
  static constexpr float kValue = 127;
};
template <>
struct Largest<Fp8> {
  static constexpr float kValue = 448;
};

/// Every lane gets the warp's sum, added in one order whatever the lanes' order.
MKM_DEVICE float warp_sum(float value) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}
MKM_DEVICE float warp_max(float value) {
#pragma unroll
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value = fmaxf(value, shuffle_xor(value, mask));
  return value;
}

MKM_DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
MKM_DEVICE float silu(float x) { return x / (1.0f + expf(-x)); }

}  // namespace mokume::cuda::MKM_TARGET
