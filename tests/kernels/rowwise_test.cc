#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cases.h"

namespace mokume::kernels {
namespace {

class Rowwise : public testing::TestWithParam<Isa> {
 protected:
  const CpuKernels& kernels = *cpu_kernels(GetParam());
  const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
};

INSTANTIATE_TEST_SUITE_P(AllIsas, Rowwise, testing::ValuesIn(machine_isas()),
                         [](const auto& test) { return isa_name(test.param); });

TEST(Half, RoundTripsEveryValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = half_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    } else {
      ASSERT_EQ(float_to_half(value), bits);
    }
  }
  EXPECT_EQ(float_to_half(65519.9f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);  // tie to even
  EXPECT_EQ(float_to_half(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
}

TEST_P(Rowwise, QuantizeRows) {
  for (int columns : {1, 15, 16, 31, 32, 33, 64, 96, 576}) {
    auto x = random_floats(3 * (columns + 1), columns, 4);
    x[0] = 0;
    if (columns > 64) std::fill(x.begin() + 32, x.begin() + 64, 0.0f);  // a group of zeros
    QuantizedStorage expected(4, columns), actual(4, columns);
    reference.quantize_rows(x.data(), columns + 1, 3, columns, 1, expected.rows);
    kernels.quantize_rows(x.data(), columns + 1, 3, columns, 1, actual.rows);
    EXPECT_EQ(actual.scales, expected.scales) << columns;
    EXPECT_EQ(actual.values, expected.values) << columns;
    EXPECT_EQ(actual.negated_sums, expected.negated_sums) << columns;
    EXPECT_EQ(actual.negated_half_sums, expected.negated_half_sums) << columns;
    EXPECT_EQ(actual.scaled_sums, expected.scaled_sums) << columns;
  }
}

TEST_P(Rowwise, QuantizeRowsWide) {
  for (int columns : {1, 15, 16, 31, 32, 33, 64, 96, 576}) {
    auto x = random_floats(3 * (columns + 1), columns, 4);
    if (columns > 64) std::fill(x.begin() + 32, x.begin() + 64, 0.0f);  // a group of zeros
    WideStorage expected(4, columns), actual(4, columns);
    reference.quantize_rows_wide(x.data(), columns + 1, 3, columns, 1, expected.rows);
    kernels.quantize_rows_wide(x.data(), columns + 1, 3, columns, 1, actual.rows);
    EXPECT_EQ(actual.scales, expected.scales) << columns;
    EXPECT_EQ(actual.values, expected.values) << columns;
    const int padded = expected.rows.padded_columns;
    for (int i = 0; i < 3 * padded; ++i) {
      const float scale = expected.scales[(padded + i) / kGroup];
      const float value = i % padded < columns ? x[i / padded * (columns + 1) + i % padded] : 0;
      ASSERT_NEAR(scale * actual.values[padded + i], value, scale * 0.501f) << columns << " " << i;
    }
  }
}

TEST_P(Rowwise, OddActivationsBecomeNumbers) {
  std::vector<float> x(64, 0.5f);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  x[40] = std::numeric_limits<float>::infinity();
  WideStorage out(1, 64);
  kernels.quantize_rows_wide(x.data(), 64, 1, 64, 0, out.rows);
  for (const int16_t value : out.values) EXPECT_LE(std::abs(value), kWordLimit);
}

// Two roundings to 7 bits and a sign, each half a step off at most.
TEST_P(Rowwise, ResidualsDoubleThePrecision) {
  for (int columns : {1, 15, 16, 31, 32, 33, 64, 96, 576}) {
    auto x = random_floats(3 * (columns + 1), columns, 4);
    if (columns > 64) std::fill(x.begin() + 32, x.begin() + 64, 0.0f);
    QuantizedStorage first(4, columns), second(4, columns);
    kernels.quantize_rows(x.data(), columns + 1, 3, columns, 1, first.rows);
    kernels.quantize_residuals(x.data(), columns + 1, 3, columns, 1, first.rows, second.rows);
    const int padded = first.rows.padded_columns;
    for (int i = 0; i < 3 * padded; ++i) {
      const int at = padded + i, group = at / kGroup, column = i % padded;
      const float value = column < columns ? x[i / padded * (columns + 1) + column] : 0;
      const double both = double{first.scales[group]} * first.values[at] +
                          double{second.scales[group]} * second.values[at];
      ASSERT_NEAR(both, value, first.scales[group] / 254 * 0.51) << columns << " " << i;
    }
    for (int g = padded / kGroup; g < 4 * padded / kGroup; ++g) {
      int sum = 0;
      for (int i = 0; i < kGroup; ++i) sum += second.values[g * kGroup + i];
      ASSERT_EQ(second.negated_sums[g], -sum);
    }
  }
}

TEST_P(Rowwise, QuantizeRowsSurvivesNanAndInfinity) {
  std::vector<float> x(64, 1.0f);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  x[40] = std::numeric_limits<float>::infinity();
  QuantizedStorage out(1, 64);
  kernels.quantize_rows(x.data(), 64, 1, 64, 0, out.rows);
  for (int8_t q : out.values) EXPECT_GE(q, -127);
  QuantizedStorage residuals(1, 64);
  kernels.quantize_residuals(x.data(), 64, 1, 64, 0, out.rows, residuals.rows);
  for (int8_t q : residuals.values) EXPECT_GE(q, -127);
}

TEST_P(Rowwise, RmsNorm) {
  for (int columns : {1, 7, 16, 17, 100, 576}) {
    const auto x = random_floats(columns, 1, 3), w = random_floats(columns, 2);
    std::vector<float> expected(columns), actual(columns);
    reference.rms_norm(x.data(), w.data(), 1e-5f, columns, expected.data());
    kernels.rms_norm(x.data(), w.data(), 1e-5f, columns, actual.data());
    for (int k = 0; k < columns; ++k)
      ASSERT_NEAR(actual[k], expected[k], 2e-6 * std::fabs(expected[k]) + 1e-9);
  }
}

TEST_P(Rowwise, SiluMul) {
  for (int columns : {1, 15, 33, 1536}) {
    auto gate = random_floats(columns, 1, 10);
    if (columns > 16) {
      gate[0] = 1000;
      gate[1] = -1000;
      gate[2] = 0;
      gate[3] = -87.5f;
    }
    const auto up = random_floats(columns, 2);
    auto expected = gate, actual = gate;
    reference.silu_mul(expected.data(), up.data(), columns);
    kernels.silu_mul(actual.data(), up.data(), columns);
    for (int k = 0; k < columns; ++k)
      ASSERT_NEAR(actual[k], expected[k], 1e-6 * std::fabs(expected[k]) + 1e-7) << gate[k];
  }
}

TEST_P(Rowwise, Rope) {
  for (bool interleaved : {false, true}) {
    for (int dims : {2, 16, 30, 64}) {
      constexpr int kHeads = 3, kHeadDim = 64;
      const auto x = random_floats(kHeads * kHeadDim, 1);
      std::vector<float> cos_sin(dims);
      for (int i = 0; i < dims / 2; ++i) {
        cos_sin[i] = std::cos(0.3f * i);
        cos_sin[dims / 2 + i] = std::sin(0.3f * i);
      }
      auto expected = x, actual = x;
      reference.rope(expected.data(), kHeads, kHeadDim, dims, interleaved, cos_sin.data());
      kernels.rope(actual.data(), kHeads, kHeadDim, dims, interleaved, cos_sin.data());
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 1e-6) << dims;
      EXPECT_EQ(actual[kHeadDim - 1] == x[kHeadDim - 1],
                dims < kHeadDim);  // the rest of a head stays
    }
  }
}

}  // namespace
}  // namespace mokume::kernels
