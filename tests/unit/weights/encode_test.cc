// Rows go into a format and come back through the readers' dequantization.
#include "weights/encode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tensor/float8.h"
#include "tensor/tensor_view.h"

namespace mokume {
namespace {

using Floats = std::vector<float>;

constexpr float kHuge = std::numeric_limits<float>::max();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

Floats gaussian(size_t count, float deviation = 1, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  Floats row(count);
  for (float& x : row) x = normal(random);
  return row;
}

float largest_of(const Floats& row) {
  float largest = 0;
  for (const float x : row) largest = std::max(largest, std::abs(x));
  return largest;
}

// Root of the squared error over the squares.
double relative_error(const Floats& row, const Floats& back) {
  double error = 0, square = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    error += std::pow(double{row[i]} - double{back[i]}, 2);
    square += std::pow(double{row[i]}, 2);
  }
  return std::sqrt(error / square);
}

template <typename T>
Floats dequantized(const std::vector<T>& bytes, DType type, size_t columns) {
  TensorView view;
  view.data = reinterpret_cast<const std::byte*>(bytes.data());
  view.bytes = bytes.size() * sizeof(T);
  view.dtype = type;
  view.rank = 1;
  view.shape[0] = static_cast<int64_t>(columns);
  EXPECT_EQ(row_bytes(type, columns).value(), view.bytes);
  Floats back(columns);
  dequantize_row(view, 0, back);
  return back;
}

Floats through_int8(const Floats& row) {
  std::vector<int8_t> values(row.size());
  const float scale = encode_int8_row(row, values);
  EXPECT_GT(scale, 0);
  EXPECT_GE(*std::min_element(values.begin(), values.end()), -127);
  Floats back = dequantized(values, DType::kI8, row.size());
  for (float& x : back) x *= scale;
  return back;
}

Floats through_q8_0(const Floats& row) {
  std::vector<uint8_t> blocks(row.size() / 32 * 34);
  encode_q8_0_row(row, blocks);
  return dequantized(blocks, DType::kQ8_0, row.size());
}

struct Nvfp4 {
  float divisor = 1;
  std::vector<uint8_t> values, scales;
};

Nvfp4 to_nvfp4(const Floats& row, float divisor) {
  Nvfp4 encoded{divisor, std::vector<uint8_t>(row.size() / 2),
                std::vector<uint8_t>(row.size() / 16)};
  encode_nvfp4_row(row, divisor, encoded.values, encoded.scales);
  for (const uint8_t scale : encoded.scales) {
    EXPECT_GE(scale, 1);
    EXPECT_LE(scale, 126);
  }
  return encoded;
}

Floats through_nvfp4(const Floats& row) {
  const Nvfp4 encoded = to_nvfp4(row, nvfp4_divisor(largest_of(row)));
  Floats back = dequantized(encoded.values, DType::kE2M1, row.size());
  for (size_t i = 0; i < back.size(); ++i) {
    back[i] *= e4m3_to_float(encoded.scales[i / 16]) / encoded.divisor;
  }
  return back;
}

TEST(Encode, ErrorsOnGaussianWeights) {
  const Floats row = gaussian(1 << 18, 0.02f);
  double int8 = 0;  // in rows of a usual length: the scale is that of a row
  for (size_t begin = 0; begin < row.size(); begin += 4096) {
    const Floats part(row.begin() + static_cast<ptrdiff_t>(begin),
                      row.begin() + static_cast<ptrdiff_t>(begin + 4096));
    int8 += relative_error(part, through_int8(part)) / 64;
  }
  EXPECT_LT(int8, 0.009);
  EXPECT_LT(relative_error(row, through_q8_0(row)), 0.0055);
  EXPECT_LT(relative_error(row, through_nvfp4(row)), 0.085);
}

TEST(Encode, Int8IsExactOnItsOwnGrid) {
  Floats row(255);
  for (int i = 0; i < 255; ++i) row[static_cast<size_t>(i)] = static_cast<float>(i - 127) * 0.25f;
  EXPECT_EQ(through_int8(row), row);
}

TEST(Encode, Int8RoundsTiesToEven) {
  std::vector<int8_t> values(6);
  EXPECT_EQ(encode_int8_row(Floats{127, 0.5f, 1.5f, -2.5f, -3.5f, 0.49f}, values), 1);
  EXPECT_EQ(values, (std::vector<int8_t>{127, 0, 2, -2, -4, 0}));
}

TEST(Encode, Q8_0IsExactOnItsOwnGrid) {
  Floats row(64);
  for (int i = 0; i < 64; ++i) row[static_cast<size_t>(i)] = static_cast<float>(i * 2 - 64) / 8;
  row[0] = 127.0f / 8;
  row[63] = -127.0f / 8;
  EXPECT_EQ(through_q8_0(row), row);
}

TEST(Encode, Nvfp4IsExactOnItsOwnGrid) {
  const Floats elements = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -.5f, -1, -1.5f, -2, -3, -4, -6, 0};
  Floats row;  // one block for every scale from the least subnormal one on
  for (int code = 1; code <= 126; ++code) {
    for (const float x : elements) row.push_back(x * e4m3_to_float(static_cast<uint8_t>(code)));
  }
  ASSERT_EQ(nvfp4_divisor(largest_of(row)), 1);
  EXPECT_EQ(through_nvfp4(row), row);
}

TEST(Encode, Nvfp4ScaleIsAtLeastAsGoodAsThatOfTheLargest) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    const Floats block = gaussian(16, 0.1f, seed), importance = [&] {
      Floats squares = gaussian(16, 3, seed + 1000);
      for (float& x : squares) x *= x;
      return squares;
    }();
    const float divisor = nvfp4_divisor(0.5f);
    const auto error = [&](uint8_t code) {
      const float scale = e4m3_to_float(code) / divisor;
      double sum = 0;
      for (size_t i = 0; i < 16; ++i) {
        const float back = e2m1_to_float(float_to_e2m1(block[i] / scale)) * scale;
        sum += double{importance[i]} * std::pow(double{back} - double{block[i]}, 2);
      }
      return sum;
    };
    const uint8_t usual = float_to_e4m3(largest_of(block) * divisor / 6);
    const uint8_t chosen = nvfp4_block_scale(block, importance, divisor);
    EXPECT_LE(error(chosen), error(usual) * (1 + 1e-5));
    EXPECT_LE(error(chosen), error(nvfp4_block_scale(block, {}, divisor)) * (1 + 1e-5));
  }
}

TEST(Encode, GgufNvfp4HoldsTheSameElements) {
  const Floats row = gaussian(256);
  const Nvfp4 encoded = to_nvfp4(row, 1);
  std::vector<uint8_t> blocks(row.size() / 64 * 36);
  to_gguf_nvfp4_row(encoded.values, encoded.scales, blocks);
  Floats expected = dequantized(encoded.values, DType::kE2M1, row.size());
  for (size_t i = 0; i < row.size(); ++i) expected[i] *= e4m3_to_float(encoded.scales[i / 16]);
  EXPECT_EQ(dequantized(blocks, DType::kNVFP4, row.size()), expected);
}

TEST(Encode, ZerosStayZeros) {
  const Floats zeros(64);
  EXPECT_EQ(through_int8(zeros), zeros);
  EXPECT_EQ(through_q8_0(zeros), zeros);
  EXPECT_EQ(through_nvfp4(zeros), zeros);
  EXPECT_EQ(nvfp4_divisor(0), 1);
  std::vector<int8_t> values(64);
  EXPECT_EQ(encode_int8_row(zeros, values), 1);
}

// Whatever the size of the numbers, what comes back is finite and no further off than a step.
TEST(Encode, AnySizeOfNumbersGivesFiniteNumbers) {
  for (const float size : {kHuge, 1e30f, 1.f, 1e-5f, 1e-30f, 1e-36f, 1e-40f, kTiny}) {
    Floats row(64);
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = size * (static_cast<float>(i) / 63) * (i % 2 == 0 ? 1.f : -1.f);
    }
    const Floats int8 = through_int8(row), nvfp4 = through_nvfp4(row), q8_0 = through_q8_0(row);
    for (size_t i = 0; i < row.size(); ++i) {
      const double step = std::max<double>(size, 1e-36);
      EXPECT_NEAR(int8[i], row[i], step / 127) << size;
      EXPECT_NEAR(nvfp4[i], row[i], std::max<double>(size, 1e-31) / 6) << size;
      EXPECT_TRUE(std::isfinite(q8_0[i])) << size;
    }
  }
}

TEST(Encode, Q8_0OfNumbersNearTheEdgesOfHalf) {
  for (const float size : {60000.f * 127, 3e-5f, 127 * 1.4f * 0x1p-24f, 0x1p-24f}) {
    Floats row(32);
    for (size_t i = 0; i < row.size(); ++i) row[i] = size * (static_cast<float>(i) - 15) / 16;
    const Floats back = through_q8_0(row);
    // Half a step, and a step is a whole number of halves' least.
    const double step = std::max(double{size} / 127, 0x1p-24);
    for (size_t i = 0; i < row.size(); ++i) EXPECT_NEAR(back[i], row[i], step * 0.76) << size;
  }
}

TEST(Encode, Nvfp4ReachesSmallBlocksWithSubnormalScales) {
  Floats row(32);
  row[0] = 448 * 6;  // a divisor of 1
  for (size_t i = 16; i < 32; ++i) row[i] = 0x1p-9f * 3;
  EXPECT_EQ(through_nvfp4(row), row);
  const Nvfp4 encoded = to_nvfp4(row, 1);
  EXPECT_EQ(encoded.scales[0], 126);
  EXPECT_LT(encoded.scales[1], 8);  // subnormal
}

TEST(Encode, HalfAndBfloat16RoundToNearest) {
  std::vector<uint16_t> out(5);
  encode_f16_row(Floats{1, -2, 65504, 1 + 0x1p-11f, 1 + 0x1.8p-10f}, out);
  EXPECT_EQ(out, (std::vector<uint16_t>{0x3c00, 0xc000, 0x7bff, 0x3c00, 0x3c02}));
  encode_bf16_row(Floats{1, -2, 1 + 0x1p-8f, 1 + 0x1.8p-7f, 3.3895314e38f}, out);
  EXPECT_EQ(out, (std::vector<uint16_t>{0x3f80, 0xc000, 0x3f80, 0x3f82, 0x7f7f}));
}

}  // namespace
}  // namespace mokume
