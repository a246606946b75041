// Against the definitions: a float is written down from its fields, the nearest is searched for.
#include "tensor/float8.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace mokume {
namespace {

// Sign, four bits of exponent with bias 7, three of mantissa; OCP's "fn": only 0x7f is no number.
double e4m3_by_definition(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double magnitude = exponent == 0 ? mantissa / 8.0 * std::pow(2.0, -6)
                                         : (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

// The code in [0, codes) whose value is nearest to `magnitude`; of two, the even one.
template <typename ToFloat>
int nearest(double magnitude, int codes, const ToFloat& to_float) {
  int best = 0;
  for (int code = 1; code < codes; ++code) {
    const double error = std::abs(to_float(code) - magnitude);
    const double least = std::abs(to_float(best) - magnitude);
    if (error < least || (error == least && code % 2 == 0)) best = code;
  }
  return best;
}

TEST(E4M3, EveryCodeIsWhatItsBitsSay) {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_to_float(static_cast<uint8_t>(code));
    if ((code & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(value)) << code;
      continue;
    }
    EXPECT_EQ(value, e4m3_by_definition(code)) << code;
    EXPECT_EQ(std::signbit(value), code >= 0x80) << code;
    EXPECT_EQ(float_to_e4m3(value), code);
  }
}

TEST(E4M3, RoundsToTheNearestAndTiesToEven) {
  const auto to_float = [](int code) { return e4m3_by_definition(code); };
  std::vector<float> values = {0x1p-10f, 0x1.000002p-10f, 0x1p-149f, 447.99f, 448, 463.9f, 464};
  for (int code = 0; code < 126; ++code) {
    const auto middle = static_cast<float>((to_float(code) + to_float(code + 1)) / 2);
    values.insert(values.end(),
                  {middle, std::nextafter(middle, 0.f), std::nextafter(middle, 1000.f)});
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-12, 9);
  for (int i = 0; i < 2000; ++i) values.push_back(std::exp2(exponent(random)));
  for (const float value : values) {
    const int expected = nearest(value, 127, to_float);
    EXPECT_EQ(float_to_e4m3(value), expected) << value;
    EXPECT_EQ(float_to_e4m3(-value), expected | 0x80) << value;
  }
}

TEST(E4M3, SaturatesAndKeepsNaN) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(float_to_e4m3(1e30f), 0x7e);
  EXPECT_EQ(float_to_e4m3(-kInfinity), 0xfe);
  EXPECT_EQ(float_to_e4m3(std::numeric_limits<float>::quiet_NaN()) & 0x7f, 0x7f);
}

TEST(E2M1, EveryCodeIsWhatItsBitsSay) {
  for (int code = 0; code < 16; ++code) {
    const int exponent = code >> 1 & 3, mantissa = code & 1;
    const double magnitude =
        exponent == 0 ? mantissa / 2.0 : (1 + mantissa / 2.0) * std::pow(2.0, exponent - 1);
    EXPECT_EQ(e2m1_to_float(code), code >= 8 ? -magnitude : magnitude) << code;
    EXPECT_EQ(float_to_e2m1(e2m1_to_float(code)), code);
  }
}

TEST(E2M1, RoundsToTheNearestAndTiesToEven) {
  for (int i = 0; i <= 8 * 1024; ++i) {
    const float value = static_cast<float>(i) / 1024;
    const int expected = nearest(value, 8, e2m1_to_float);
    EXPECT_EQ(float_to_e2m1(value), expected) << value;
    EXPECT_EQ(float_to_e2m1(-value), expected | 8) << value;
  }
  EXPECT_EQ(float_to_e2m1(1e30f), 7);
  EXPECT_EQ(float_to_e2m1(std::numeric_limits<float>::quiet_NaN()) & 7, 0);
}

}  // namespace
}  // namespace mokume
