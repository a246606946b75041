// Rounding with feedback against what it promises: the least error of the products, not of the
// weights.
#include "quantize/calibrated_nvfp4.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tensor/float8.h"
#include "weights/encode.h"

namespace mokume {
namespace {

using Floats = std::vector<float>;

Floats gaussian(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(count);
  for (float& x : values) x = normal(random);
  return values;
}

// Inputs as activations are: a few directions carry most of them, some columns are large.
Floats correlated_inputs(int tokens, int columns) {
  const int directions = 12;
  const Floats mixing = gaussian(static_cast<size_t>(directions * columns), 7);
  const Floats amounts = gaussian(static_cast<size_t>(tokens * directions), 8);
  Floats x = gaussian(static_cast<size_t>(tokens * columns), 9);
  for (int t = 0; t < tokens; ++t) {
    for (int k = 0; k < columns; ++k) {
      float& value = x[static_cast<size_t>(t * columns + k)];
      value *= 0.3f;
      for (int d = 0; d < directions; ++d) {
        value += amounts[static_cast<size_t>(t * directions + d)] *
                 mixing[static_cast<size_t>(d * columns + k)];
      }
      if (k % 37 == 0) value *= 6;
    }
  }
  return x;
}

Hessian hessian_of(const Floats& x, int tokens, int columns) {
  Hessian hessian(columns, 2);
  hessian.add(x, tokens);
  return hessian;
}

Floats dequantized(const EncodedMatrix& matrix) {
  Floats values(matrix.values.size() * 2);
  for (size_t i = 0; i < values.size(); ++i) {
    const int byte = std::to_integer<int>(matrix.values[i / 2]);
    const float scale = e4m3_to_float(std::to_integer<uint8_t>(matrix.scales[i / 16]));
    values[i] = e2m1_to_float(i % 2 == 0 ? byte & 15 : byte >> 4) * (scale / matrix.divisor);
  }
  return values;
}

ReadRow rows_of(const Floats& weights, int columns) {
  return [&weights, columns](int64_t row, std::span<float> out) {
    std::copy_n(weights.begin() + row * columns, columns, out.begin());
    return absl::OkStatus();
  };
}

EncodedMatrix plainly(const Floats& weights, int columns) {
  float largest = 0;
  for (const float w : weights) largest = std::max(largest, std::abs(w));
  std::vector<uint8_t> values(weights.size() / 2), scales(weights.size() / 16);
  EncodedMatrix matrix;
  matrix.divisor = nvfp4_divisor(largest);
  const auto width = static_cast<size_t>(columns);
  for (size_t at = 0; at < weights.size(); at += width) {
    encode_nvfp4_row(std::span(weights).subspan(at, width), matrix.divisor,
                     std::span(values).subspan(at / 2, width / 2),
                     std::span(scales).subspan(at / 16, width / 16));
  }
  for (const uint8_t v : values) matrix.values.push_back(std::byte{v});
  for (const uint8_t s : scales) matrix.scales.push_back(std::byte{s});
  return matrix;
}

// Sum of the squared differences of all products with `x`.
double product_error(const Floats& weights, const Floats& rounded, const Floats& x, int columns) {
  double sum = 0;
  const auto width = static_cast<size_t>(columns);
  for (size_t row = 0; row < weights.size(); row += width) {
    for (size_t t = 0; t < x.size(); t += width) {
      double difference = 0;
      for (size_t k = 0; k < width; ++k)
        difference += double{weights[row + k] - rounded[row + k]} * x[t + k];
      sum += difference * difference;
    }
  }
  return sum;
}

TEST(Hessian, IsTheSumOfOuterProducts) {
  const int columns = 144, tokens = 300;  // more than a panel, more than a chunk
  const Floats x = gaussian(columns * tokens, 1);
  Hessian hessian(columns, 2);
  hessian.add(std::span(x).first(columns * 10), 10);
  hessian.add(std::span(x).subspan(columns * 10), tokens - 10);
  for (int i = 0; i < columns; i += 5) {
    for (int j = i; j < columns; ++j) {
      double sum = 0;
      for (int t = 0; t < tokens; ++t)
        sum += double{x[static_cast<size_t>(t * columns + i)]} *
               x[static_cast<size_t>(t * columns + j)];
      EXPECT_NEAR(hessian.matrix()[static_cast<size_t>(i * columns + j)], sum, 1e-3)
          << i << "," << j;
    }
  }
}

TEST(Correlation, IsTheSumOfOuterProducts) {
  const int rows = 150, columns = 144, tokens = 300;  // rows are no multiple of 16
  const Floats y = gaussian(rows * tokens, 1), x = gaussian(columns * tokens, 2);
  Correlation correlation(rows, columns, 2);
  correlation.add(std::span(y).first(rows * 10), std::span(x).first(columns * 10), 10);
  correlation.add(std::span(y).subspan(rows * 10), std::span(x).subspan(columns * 10), tokens - 10);
  for (int i = 0; i < rows; i += i < 140 ? 7 : 1) {
    for (int j = 0; j < columns; ++j) {
      double sum = 0;
      for (int t = 0; t < tokens; ++t)
        sum +=
            double{y[static_cast<size_t>(t * rows + i)]} * x[static_cast<size_t>(t * columns + j)];
      EXPECT_NEAR(correlation.row(i)[static_cast<size_t>(j)], sum, 1e-3) << i << "," << j;
    }
  }
}

TEST(Feedback, FactorsGiveTheMatrixBack) {
  const int columns = 208;
  const Floats x = correlated_inputs(500, columns);
  const Hessian hessian = hessian_of(x, 500, columns);
  std::vector<int64_t> order(columns);
  for (int i = 0; i < columns; ++i)
    order[static_cast<size_t>(i)] = (i * 3) % columns;  // 3 and 208: coprime
  const double damping = 0.01;
  const auto feedback = Feedback::create(hessian, order, damping, 2);
  ASSERT_TRUE(feedback.ok()) << feedback.status();
  double mean = 0;
  for (int i = 0; i < columns; ++i) mean += hessian.matrix()[static_cast<size_t>(i * columns + i)];
  mean /= columns;
  const auto m = [&](int i, int k) { return i == k ? 1.0 : double{feedback->row(i)[k]}; };
  for (int i = 0; i < columns; i += 3) {
    for (int j = i; j < columns; j += 3) {
      double sum = 0;  // (M D M^T)_ij: M is upper triangular
      for (int k = j; k < columns; ++k) sum += m(i, k) * feedback->cost(k) * m(j, k);
      const auto a = static_cast<int>(order[static_cast<size_t>(i)]);
      const auto b = static_cast<int>(order[static_cast<size_t>(j)]);
      const double h =
          hessian.matrix()[static_cast<size_t>(std::min(a, b) * columns + std::max(a, b))];
      EXPECT_NEAR(sum, h / mean + (i == j ? damping : 0), 2e-4) << i << "," << j;
    }
  }
}

TEST(Feedback, BlocksAreThoseOfTheMatrix) {
  const int columns = 96;
  const Hessian hessian = hessian_of(correlated_inputs(500, columns), 500, columns);
  const double damping = 0.01;
  const auto feedback = Feedback::create(hessian, {}, damping, 2);
  ASSERT_TRUE(feedback.ok()) << feedback.status();
  for (int first = 0; first < columns; first += kGroupColumns) {
    const GroupFactor block = feedback->block(first);
    const auto m = [&](int i, int k) { return i == k ? 1.0 : double{block.row(i)[k]}; };
    for (int i = 0; i < kGroupColumns; ++i) {
      for (int j = i; j < kGroupColumns; ++j) {
        double sum = 0;
        for (int k = j; k < kGroupColumns; ++k) sum += m(i, k) * block.cost(k) * m(j, k);
        const double h = hessian.matrix()[static_cast<size_t>((first + i) * columns + first + j)];
        EXPECT_NEAR(sum, h / feedback->unit() + (i == j ? damping : 0), 2e-4) << first << i << j;
      }
    }
  }
}

TEST(Feedback, TakesInputsThatWereNeverThere) {
  const int columns = 32;
  Floats x(columns * 4);
  const auto none = Feedback::create(hessian_of(x, 4, columns), {}, 0.01, 1);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->cost(5), 1);
  x[3] = 2;  // one column of one token: a matrix of rank 1
  const auto one = Feedback::create(hessian_of(x, 4, columns), {}, 0.01, 1);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_GT(one->cost(5), 0);
  x[4] = INFINITY;
  EXPECT_FALSE(Feedback::create(hessian_of(x, 4, columns), {}, 0.01, 1).ok());
}

TEST(CalibratedNvfp4, ProductsAreMuchCloserThanRoundedOneByOne) {
  const int columns = 304, rows = 70,
            tokens = 1200;  // more rows than lanes, no multiple of a block
  const Floats x = correlated_inputs(tokens, columns), weights = gaussian(rows * columns, 3);
  const auto feedback = Feedback::create(hessian_of(x, tokens, columns), {}, 0.01, 2);
  ASSERT_TRUE(feedback.ok());
  const auto matrix = calibrated_nvfp4({rows, rows_of(weights, columns), {}}, *feedback, 2);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  const double plain = product_error(weights, dequantized(plainly(weights, columns)), x, columns);
  const double calibrated = product_error(weights, dequantized(*matrix), x, columns);
  EXPECT_LT(calibrated, plain * 0.25);
  EXPECT_GT(calibrated, 0);
}

TEST(CalibratedNvfp4, GoesHalfTheWayToOutputsThatAreWanted) {
  const int columns = 96, rows = 70, tokens = 1200;
  const Floats x = correlated_inputs(tokens, columns), weights = gaussian(rows * columns, 3);
  const Floats change = gaussian(rows * columns, 4);
  Floats wanted = weights, between = weights;
  for (size_t i = 0; i < weights.size(); ++i) {
    wanted[i] += 0.5f * change[i];
    between[i] += 0.25f * change[i];
  }
  const Hessian hessian = hessian_of(x, tokens, columns);
  const auto feedback = Feedback::create(hessian, {}, 1e-4, 2);
  ASSERT_TRUE(feedback.ok());
  Floats outputs(static_cast<size_t>(tokens * rows));
  for (int t = 0; t < tokens; ++t) {
    for (int row = 0; row < rows; ++row) {
      double sum = 0;
      for (int k = 0; k < columns; ++k)
        sum += double{wanted[static_cast<size_t>(row * columns + k)]} *
               x[static_cast<size_t>(t * columns + k)];
      outputs[static_cast<size_t>(t * rows + row)] = static_cast<float>(sum);
    }
  }
  Correlation correlation(rows, columns, 2);
  correlation.add(outputs, x, tokens);
  const ReadRow correlations = [&](int64_t row, std::span<float> out) {
    std::ranges::copy(correlation.row(row), out.begin());
    return absl::OkStatus();
  };
  const auto plain = calibrated_nvfp4({rows, rows_of(weights, columns), {}}, *feedback, 2);
  const auto leaning =
      calibrated_nvfp4({rows, rows_of(weights, columns), correlations}, *feedback, 2);
  ASSERT_TRUE(plain.ok() && leaning.ok());
  const double rounding = product_error(weights, dequantized(*plain), x, columns);
  EXPECT_LT(product_error(between, dequantized(*leaning), x, columns), rounding * 2);
  EXPECT_GT(product_error(weights, dequantized(*leaning), x, columns), rounding * 10);
}

TEST(CalibratedNvfp4, IsTheSameOnAnyNumberOfThreads) {
  const int columns = 64, rows = 130, tokens = 200;
  const Floats x = correlated_inputs(tokens, columns), weights = gaussian(rows * columns, 3);
  std::vector<EncodedMatrix> results;
  for (const int threads : {1, 3}) {
    Hessian hessian(columns, threads);
    hessian.add(x, tokens);
    const auto feedback = Feedback::create(hessian, {}, 0.01, threads);
    ASSERT_TRUE(feedback.ok());
    results.push_back(*calibrated_nvfp4({rows, rows_of(weights, columns), {}}, *feedback, threads));
  }
  EXPECT_EQ(results[0].values, results[1].values);
  EXPECT_EQ(results[0].scales, results[1].scales);
}

TEST(CalibratedNvfp4, WhatIsOnTheGridStaysThere) {
  const int columns = 32, rows = 2;
  const Floats x = correlated_inputs(100, columns);
  Floats weights(rows * columns);
  const Floats elements = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -.5f, -1, -1.5f, -2, -3, -4, -6, 0};
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = elements[i % 16] * 448;
  const auto feedback = Feedback::create(hessian_of(x, 100, columns), {}, 0.01, 1);
  ASSERT_TRUE(feedback.ok());
  const auto matrix = calibrated_nvfp4({rows, rows_of(weights, columns), {}}, *feedback, 1);
  ASSERT_TRUE(matrix.ok());
  EXPECT_EQ(dequantized(*matrix), weights);
}

TEST(CalibratedNvfp4, PassesTheReadersErrorOn) {
  const Floats x = gaussian(32 * 40, 1);
  const auto feedback = Feedback::create(hessian_of(x, 40, 32), {}, 0.01, 1);
  ASSERT_TRUE(feedback.ok());
  const auto fails = [](int64_t row, std::span<float> out) -> Status {
    std::fill(out.begin(), out.end(), 1.f);
    return row == 3 ? invalid_argument("test", "row 3") : absl::OkStatus();
  };
  EXPECT_EQ(calibrated_nvfp4({5, fails, {}}, *feedback, 2).status().message(), "[test] row 3");
}

}  // namespace
}  // namespace mokume
