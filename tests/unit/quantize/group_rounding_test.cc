// A group's scale and values against the quadratic form that they are to make small.
#include "quantize/group_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tensor/float8.h"

namespace mokume {
namespace {

class GroupRoundingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (int i = 0; i < kGroupColumns; ++i) {
      for (int j = 0; j < kGroupColumns; ++j) factor_[i][j] = 0.4f * normal(random);
      factor_[i][i] = 0.1f + std::abs(normal(random));
    }
    for (auto& column : target_) {
      for (float& x : column) x = 100 * normal(random);
    }
  }

  GroupFactor factor() const { return {&factor_[0][0], kGroupColumns}; }
  double m(int i, int k) const { return i == k ? 1 : i < k ? double{factor_[i][k]} : 0; }

  // (target - values) M D M^T (target - values)^T
  double cost(const GroupLanes& values, int row) const {
    double sum = 0;
    for (int k = 0; k < kGroupColumns; ++k) {
      double along = 0;
      for (int i = 0; i <= k; ++i) along += (double{target_[i][row]} - values[i][row]) * m(i, k);
      sum += double{factor_[k][k]} * along * along;
    }
    return sum;
  }

  static RoundedGroup none() {
    RoundedGroup rounded = {};
    std::fill_n(rounded.cost, kGroupRows, INFINITY);
    return rounded;
  }

  float factor_[kGroupColumns][kGroupColumns];
  GroupLanes target_;
};

TEST_F(GroupRoundingTest, DividingUndoesMultiplying) {
  GroupLanes values;
  std::copy_n(&target_[0][0], kGroupColumns * kGroupRows, &values[0][0]);
  times_m(factor(), values);
  EXPECT_NEAR(values[1][3], target_[1][3] + target_[0][3] * factor_[0][1], 1e-3);
  divide_by_m(factor(), values);
  for (int k = 0; k < kGroupColumns; ++k) EXPECT_NEAR(values[k][9], target_[k][9], 0.1) << k;
}

TEST_F(GroupRoundingTest, DividingByTheWholeFormSolvesIt) {
  GroupLanes values;
  std::copy_n(&target_[0][0], kGroupColumns * kGroupRows, &values[0][0]);
  divide_by_dmt(factor(), values);
  for (int i = 0; i < kGroupColumns; ++i) {  // values D M^T
    double sum = 0, size = 0;
    for (int k = i; k < kGroupColumns; ++k) {
      sum += double{values[k][7]} * factor_[k][k] * m(i, k);
      size += std::abs(double{values[k][7]} * factor_[k][k] * m(i, k));
    }
    EXPECT_NEAR(sum, target_[i][7], 1e-5 * size + 1e-3) << i;
  }
}

TEST_F(GroupRoundingTest, ValuesAreOnTheGridAndCostWhatIsSaid) {
  RoundedGroup rounded = none();
  round_group(target_, factor(), rounded);
  for (int r = 0; r < kGroupRows; ++r) {
    const float scale = e4m3_to_float(rounded.scales[r]);
    for (int k = 0; k < kGroupColumns; ++k) {
      const float value = rounded.values[k][r];
      EXPECT_EQ(e2m1_to_float(float_to_e2m1(value / scale)) * scale, value);
    }
    EXPECT_NEAR(rounded.cost[r] / cost(rounded.values, r), 1, 1e-3) << r;
  }
}

TEST_F(GroupRoundingTest, CostsLessThanRoundingEachColumnForItself) {
  RoundedGroup rounded = none();
  round_group(target_, factor(), rounded);
  double alone = 0, together = 0;
  for (int r = 0; r < kGroupRows; ++r) {
    float largest = 0;
    for (const auto& column : target_) largest = std::max(largest, std::abs(column[r]));
    const float scale = e4m3_to_float(float_to_e4m3(largest / 6));
    GroupLanes values = {};
    for (int k = 0; k < kGroupColumns; ++k)
      values[k][r] = e2m1_to_float(float_to_e2m1(target_[k][r] / scale)) * scale;
    alone += cost(values, r);
    together += cost(rounded.values, r);
  }
  EXPECT_LT(together, 0.7 * alone);
}

TEST_F(GroupRoundingTest, WhatCostsLessStays) {
  RoundedGroup rounded = {};
  rounded.scales[2] = 77;
  std::fill_n(rounded.cost, kGroupRows, INFINITY);
  rounded.cost[2] = 0;
  round_group(target_, factor(), rounded);
  EXPECT_EQ(rounded.scales[2], 77);
  EXPECT_EQ(rounded.values[4][2], 0);
  EXPECT_LT(rounded.cost[3], INFINITY);
}

}  // namespace
}  // namespace mokume
