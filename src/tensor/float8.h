// 8-bit floats E4M3 and 4-bit floats E2M1 (OCP Microscaling Formats v1.0), as bit patterns.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace mokume {

/// Exact. 0x7f and 0xff are NaN; there is no infinity.
inline float e4m3_to_float(uint8_t byte) {
  const uint32_t sign = static_cast<uint32_t>(byte & 0x80u) << 24;
  const uint32_t exponent = byte >> 3 & 15u, mantissa = byte & 7u;
  if ((byte & 0x7fu) == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | (exponent + 120) << 23 | mantissa << 20);
}

/// Rounds to nearest, ties to even; beyond 448 gives 448 with the sign of `value`, NaN gives NaN.
inline uint8_t float_to_e4m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint8_t>(bits >> 24 & 0x80u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7fu;
  if (magnitude >= 0x43e00000u) return sign | 0x7eu;  // 448 and above
  if (magnitude < 0x3c800000u) {
    // Below 2^-6: adding 2^14 leaves the mantissa in units of 2^-9, rounded by the addition itself.
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p14f;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x46800000u));
  }
  const uint32_t rounded = magnitude + 0x7ffffu + (magnitude >> 20 & 1u);
  return static_cast<uint8_t>(sign | ((rounded >> 20) - (120u << 3)));
}

/// The four bits' value: 0, 0.5, 1, 1.5, 2, 3, 4, 6 with the sign of bit 3.
inline float e2m1_to_float(int nibble) {
  constexpr float kMagnitudes[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  const float magnitude = kMagnitudes[nibble & 7];
  return (nibble & 8) != 0 ? -magnitude : magnitude;
}

/// The nearest of the eight magnitudes, ties to the even pattern; beyond 6 gives 6. NaN gives 0.
inline uint8_t float_to_e2m1(float value) {
  const float magnitude = value < 0 ? -value : value;
  uint8_t code = 0;
  if (magnitude > 0.25f) code = 1;
  if (magnitude >= 0.75f) code = 2;
  if (magnitude > 1.25f) code = 3;
  if (magnitude >= 1.75f) code = 4;
  if (magnitude > 2.5f) code = 5;
  if (magnitude >= 3.5f) code = 6;
  if (magnitude > 5) code = 7;
  return std::signbit(value) ? code | 8 : code;
}

}  // namespace mokume
