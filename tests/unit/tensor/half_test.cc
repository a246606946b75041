#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mokume {
namespace {

/// The value of a finite half by the definition of the format.
double half_value(uint32_t half) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

bool is_finite(uint32_t half) { return ((half >> 10) & 31) != 31; }

TEST(Half, EveryPatternToFloat) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = half_to_float(static_cast<uint16_t>(half));
    EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0) << half;
    if (is_finite(half)) {
      ASSERT_EQ(value, half_value(half)) << half;
    } else if ((half & 0x3ff) == 0) {
      ASSERT_TRUE(std::isinf(value)) << half;
    } else {
      ASSERT_TRUE(std::isnan(value)) << half;
    }
  }
}

TEST(Half, EveryPatternComesBack) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const bool nan = !is_finite(half) && (half & 0x3ff) != 0;
    const uint32_t expected = nan ? half | 0x200 : half;
    ASSERT_EQ(float_to_half(half_to_float(static_cast<uint16_t>(half))), expected) << half;
  }
}

TEST(Half, RoundsToNearestTiesToEven) {
  for (uint32_t half = 0; half < 0x7bff; ++half) {
    // Exact in float: halves have 11 bits, so their midpoints have 12.
    const auto middle = static_cast<float>((half_value(half) + half_value(half + 1)) / 2);
    const uint32_t even = half % 2 == 0 ? half : half + 1;
    ASSERT_EQ(float_to_half(middle), even) << half;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), half) << half;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e30f)), half + 1) << half;
    ASSERT_EQ(float_to_half(-middle), even | 0x8000) << half;
  }
}

TEST(Half, Extremes) {
  EXPECT_EQ(float_to_half(65519.996f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(-std::numeric_limits<float>::infinity()), 0xfc00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(float_to_half(-0.0f), 0x8000);
}

TEST(Bfloat16, EveryPatternComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = bfloat16_to_float(static_cast<uint16_t>(bits));
    ASSERT_EQ(float_to_bfloat16(value), std::isnan(value) ? bits | 0x40 : bits) << bits;
  }
}

TEST(Bfloat16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(bfloat16_to_float(0x3f80), 1.0f);
  EXPECT_EQ(float_to_bfloat16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(float_to_bfloat16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);
  EXPECT_EQ(float_to_bfloat16(1.0f + 0x3p-8f), 0x3f82);
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7f80);
}

}  // namespace
}  // namespace mokume
