// Second moments of a linear layer's inputs: what decides which of its columns' errors matter.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

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
  void add_chunk(const float* x, int tokens);

  int columns_, threads_;
  std::vector<float> sums_;
  std::vector<float> packed_;
};

}  // namespace mokume
