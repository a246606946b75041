// Second moments of a linear layer's inputs, which decide which of its columns' errors matter, and
// of its wanted outputs with them, which decide what the columns should be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quantize/panels.h"

namespace mokume {

/// The sum of x x^T over inputs x, of which only the upper triangle is kept.
class Hessian {
 public:
  /// `columns` is a multiple of 16.
  Hessian(int columns, int threads);

  /// x [tokens, columns], row-major.
  void add(std::span<const float> x, int tokens);

  int columns() const { return columns_; }
  /// [columns, columns], row-major; entries below the diagonal mean nothing.
  std::span<const float> matrix() const { return sums_; }

 private:
  int columns_, threads_;
  std::vector<float> sums_;
  Panels panels_;
};

/// The sum of y x^T over wanted outputs y and inputs x.
class Correlation {
 public:
  /// `columns` is a multiple of 16.
  Correlation(int rows, int columns, int threads);

  /// y [tokens, rows], x [tokens, columns], row-major.
  void add(std::span<const float> y, std::span<const float> x, int tokens);

  /// [columns]
  std::span<const float> row(int64_t row) const {
    const auto columns = static_cast<size_t>(columns_);
    return std::span(sums_).subspan(static_cast<size_t>(row) * columns, columns);
  }

 private:
  int rows_, columns_, threads_;
  std::vector<float> sums_;  // [rows up to a multiple of 16, columns]
  Panels outputs_, inputs_;
};

}  // namespace mokume
