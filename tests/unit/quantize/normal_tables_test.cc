#include "quantize/normal_tables.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/float8.h"
#include "tensor/half.h"

namespace mokume {
namespace {

TEST(NormalTables, QuantilesAreThoseOfTheBooks) {
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-12);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-9);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306167814, 1e-9);
  EXPECT_NEAR(largest_quantile(1, 0.95), 1.959963984540054, 1e-9);
  EXPECT_GT(typical_largest(4096), typical_largest(16));
}

TEST(NormalTables, HalvesHaveTheirDeviation) {
  EXPECT_NEAR(std::sqrt(f16_table(0.02).mean_square), 0.02, 1e-5);
  EXPECT_NEAR(std::sqrt(bf16_table(0.02).mean_square), 0.02, 1e-5);
  const RandomTable<uint16_t> table = f16_table(1);
  EXPECT_LT(half_to_float(table.entries.front()), -4);
  EXPECT_GT(half_to_float(table.entries.back()), 4);
}

TEST(NormalTables, IntegersUseTheirRange) {
  const RandomTable<uint8_t> table = int8_table(4);
  EXPECT_EQ(static_cast<int8_t>(table.entries.front()), -127);
  EXPECT_EQ(static_cast<int8_t>(table.entries.back()), 127);
  EXPECT_NEAR(std::sqrt(table.mean_square), 127.0 / 4, 0.1);
}

TEST(NormalTables, PairsOfFourBitsAreAllThere) {
  const RandomTable<uint8_t> table = e2m1_table();
  std::array<int, 16> low{}, high{};
  for (const uint8_t pair : table.entries) {
    ++low[pair & 15];
    ++high[pair >> 4];
  }
  for (int code = 0; code < 16; ++code) {
    EXPECT_GT(low[code], 0) << code;
    EXPECT_EQ(low[code], high[code]) << code;
  }
  // As many above 0 as below.
  for (int code = 1; code < 8; ++code) EXPECT_EQ(low[code], low[code + 8]) << code;
}

TEST(NormalTables, ScalesAreFiniteAndAboveZero) {
  float largest = 0;
  for (const uint8_t scale : e4m3_scale_table().entries) {
    const float value = e4m3_to_float(scale);
    EXPECT_GT(value, 0);
    EXPECT_LE(value, 448);
    largest = std::max(largest, value);
  }
  EXPECT_EQ(largest, 448);
  for (const uint16_t scale : q8_0_scale_table(0.01).entries) EXPECT_GT(half_to_float(scale), 0);
}

}  // namespace
}  // namespace mokume
