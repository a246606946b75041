#include "quantize/normal_tables.h"

#include <algorithm>
#include <cmath>

#include "tensor/float8.h"
#include "tensor/half.h"

namespace mokume {
namespace {

constexpr int kGroup = 16;    // values under an E4M3 scale
constexpr int kQ8Group = 32;  // values under a Q8_0 scale
constexpr double kLargestE2m1 = 6, kLargestE4m3 = 448, kLargestInt8 = 127;

double probability(int i) { return (i + 0.5) / kTableSize; }

/// Entry i is `value` of the i-th of equally likely ranges; `meaning` is what an entry stands for.
template <typename T, typename Value, typename Meaning>
RandomTable<T> make_table(Value value, Meaning meaning) {
  RandomTable<T> table;
  table.entries.resize(kTableSize);
  for (int i = 0; i < kTableSize; ++i) {
    const T entry = value(i);
    table.entries[static_cast<size_t>(i)] = entry;
    const double number = meaning(entry);
    table.mean_square += number * number / kTableSize;
  }
  return table;
}

template <typename Quantile>
std::vector<double> quantiles_of(Quantile quantile) {
  std::vector<double> quantiles(kTableSize);
  for (int i = 0; i < kTableSize; ++i) {
    quantiles[static_cast<size_t>(i)] = quantile(probability(i));
  }
  return quantiles;
}

// Each is made once: a bisection an entry takes a while.
const std::vector<double>& normal_quantiles() {
  static const std::vector<double> quantiles = quantiles_of(normal_quantile);
  return quantiles;
}
const std::vector<double>& largest_of_group() {
  static const auto quantiles = quantiles_of([](double p) { return largest_quantile(kGroup, p); });
  return quantiles;
}
const std::vector<double>& largest_of_q8_group() {
  static const auto quantiles =
      quantiles_of([](double p) { return largest_quantile(kQ8Group, p); });
  return quantiles;
}

}  // namespace

double normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 52; ++i) {
    const double middle = (low + high) / 2;
    const double below = std::erfc(-middle / std::sqrt(2.0)) / 2;
    (below < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double largest_quantile(int count, double p) {
  return normal_quantile((1 + std::pow(p, 1.0 / count)) / 2);
}

double typical_largest(int count) { return largest_quantile(count, 0.5); }

RandomTable<uint16_t> f16_table(double sigma) {
  return make_table<uint16_t>(
      [&](int i) { return float_to_half(static_cast<float>(sigma * normal_quantiles()[i])); },
      [](uint16_t bits) { return half_to_float(bits); });
}

RandomTable<uint16_t> bf16_table(double sigma) {
  return make_table<uint16_t>(
      [&](int i) { return float_to_bfloat16(static_cast<float>(sigma * normal_quantiles()[i])); },
      [](uint16_t bits) { return bfloat16_to_float(bits); });
}

RandomTable<uint8_t> int8_table(double largest) {
  return make_table<uint8_t>(
      [&](int i) {
        const double value = std::round(normal_quantiles()[i] * kLargestInt8 / largest);
        return static_cast<uint8_t>(
            static_cast<int8_t>(std::clamp(value, -kLargestInt8, kLargestInt8)));
      },
      [](uint8_t bits) { return static_cast<int8_t>(bits); });
}

RandomTable<uint8_t> e2m1_table() {
  // Both nibbles come from eight bits each.
  const auto nibble = [](int byte) {
    const double value = normal_quantile((byte + 0.5) / 256);
    return float_to_e2m1(static_cast<float>(value * kLargestE2m1 / typical_largest(kGroup)));
  };
  std::array<uint8_t, 256> nibbles{};
  for (int i = 0; i < 256; ++i) nibbles[static_cast<size_t>(i)] = nibble(i);
  return make_table<uint8_t>(
      [&](int i) {
        return static_cast<uint8_t>(nibbles[static_cast<size_t>(i & 255)] |
                                    nibbles[static_cast<size_t>(i >> 8)] << 4);
      },
      [](uint8_t pair) { return e2m1_to_float(pair & 15); });
}

RandomTable<uint8_t> e4m3_scale_table() {
  const double unit = kLargestE4m3 / largest_of_group().back();
  return make_table<uint8_t>(
      [&](int i) { return float_to_e4m3(static_cast<float>(unit * largest_of_group()[i])); },
      [](uint8_t bits) { return e4m3_to_float(bits); });
}

RandomTable<uint16_t> q8_0_scale_table(double sigma) {
  return make_table<uint16_t>(
      [&](int i) {
        const double largest = largest_of_q8_group()[i];
        return float_to_half(static_cast<float>(sigma * largest / kLargestInt8));
      },
      [](uint16_t bits) { return half_to_float(bits); });
}

}  // namespace mokume
