// Tables that turn 16 random bits into elements of quantized normal distributions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace mokume {

inline constexpr int kTableSize = 1 << 16;

/// The value below which a standard normal variable lies with probability `p`, 0 < p < 1.
double normal_quantile(double p);

/// A table of one byte or two an entry, and the mean square of what its entries stand for.
template <typename T>
struct RandomTable {
  std::vector<T> entries;  ///< kTableSize
  double mean_square = 0;
};

/// Standard normal values times `sigma`.
RandomTable<uint16_t> f16_table(double sigma);
RandomTable<uint16_t> bf16_table(double sigma);
/// Integers in [-127, 127], standard normal values times 127 / `largest`.
RandomTable<uint8_t> int8_table(double largest);
/// Two E2M1 values of a group of 16 whose largest is 6; the mean square is of one.
RandomTable<uint8_t> e2m1_table();
/// E4M3 scales of groups of 16, the largest 448; mean square of the scales.
RandomTable<uint8_t> e4m3_scale_table();
/// F16 scales of groups of 32 values in [-127, 127] whose largest is 127, for a deviation of about
/// `sigma`.
RandomTable<uint16_t> q8_0_scale_table(double sigma);

/// The value below which the largest of `count` standard normal magnitudes lies with probability
/// `p`.
double largest_quantile(int count, double p);

/// The median of the largest of `count` standard normal magnitudes.
double typical_largest(int count);

}  // namespace mokume
