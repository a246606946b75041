#include "quantize/feedback.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/products.h"
#include "quantize/tasks.h"

namespace mokume {
namespace {

constexpr int kBlock = 64;    // columns that are eliminated at a time
constexpr int kTile = 128;    // of the rest that a task updates
constexpr int kAttempts = 4;  // each with ten times the damping

// A symmetric matrix of which the upper triangle is factored in place, from the last column on.
class Elimination {
 public:
  Elimination(float* matrix, int columns, int threads)
      : matrix_(matrix),
        columns_(columns),
        threads_(threads),
        factor_(static_cast<size_t>(kBlock) * columns),
        scaled_(factor_.size()) {}

  /// False when a pivot is not above 0.
  bool run() {
    for (int end = columns_; end > 0;) {
      const int begin = (end - 1) / kBlock * kBlock;
      if (!factor_block(begin, end)) return false;
      solve_panel(begin, end);
      update_rest(begin, end);
      end = begin;
    }
    return true;
  }

 private:
  float& at(int i, int j) { return matrix_[static_cast<size_t>(i) * columns_ + j]; }

  bool factor_block(int begin, int end) {
    for (int k = end - 1; k >= begin; --k) {
      const float pivot = at(k, k);
      if (!(pivot > 0) || !std::isfinite(pivot)) return false;
      for (int i = begin; i < k; ++i) {
        const float multiple = at(i, k) / pivot;
        for (int j = i; j < k; ++j) at(i, j) -= multiple * at(j, k);
      }
      for (int i = begin; i < k; ++i) at(i, k) /= pivot;
    }
    return true;
  }

  // Columns [begin, end) of the rows above: M, and transposed into factor_ and, times -D, scaled_.
  void solve_panel(int begin, int end) {
    const int tasks = (begin + kBlock - 1) / kBlock;
    for_each_task(tasks, threads_, [&](int64_t task) {
      const int first = static_cast<int>(task) * kBlock, last = std::min(begin, first + kBlock);
      for (int i = first; i < last; ++i) solve_row(i, begin, end);
    });
  }

  void solve_row(int i, int begin, int end) {
    for (int m = end - 1; m >= begin; --m) {
      const float value = at(i, m);
      for (int k = begin; k < m; ++k) at(i, k) -= value * at(k, m);
      at(i, m) = value / at(m, m);
      const size_t transposed = static_cast<size_t>(m - begin) * columns_ + i;
      factor_[transposed] = at(i, m);
      scaled_[transposed] = -value;
    }
  }

  void update_rest(int begin, int end) {
    const int tiles = (begin + kTile - 1) / kTile;
    const auto stride = static_cast<size_t>(columns_);
    for_each_task(int64_t{tiles} * tiles, threads_, [&](int64_t tile) {
      const int i = static_cast<int>(tile / tiles) * kTile;
      const int j = static_cast<int>(tile % tiles) * kTile;
      if (i > j) return;
      kernels::add_products({scaled_.data() + i, stride}, {factor_.data() + j, stride}, end - begin,
                            &at(i, j), stride, std::min(kTile, begin - i),
                            std::min(kTile, begin - j));
    });
  }

  float* matrix_;
  const int columns_, threads_;
  std::vector<float> factor_, scaled_;  // [kBlock][columns]
};

// H in the given order, divided by the mean of its diagonal; upper triangle.
std::vector<float> ordered(const Hessian& hessian, std::span<const int64_t> order, double mean) {
  const auto columns = static_cast<size_t>(hessian.columns());
  const float* from = hessian.matrix().data();
  const auto factor = static_cast<float>(1 / mean);
  std::vector<float> matrix(columns * columns);
  for (size_t i = 0; i < columns; ++i) {
    for (size_t j = i; j < columns; ++j) {
      const size_t a = order.empty() ? i : static_cast<size_t>(order[i]);
      const size_t b = order.empty() ? j : static_cast<size_t>(order[j]);
      matrix[i * columns + j] = from[std::min(a, b) * columns + std::max(a, b)] * factor;
    }
  }
  return matrix;
}

double mean_diagonal(const Hessian& hessian) {
  const auto columns = static_cast<size_t>(hessian.columns());
  double sum = 0;
  for (size_t i = 0; i < columns; ++i) sum += hessian.matrix()[i * columns + i];
  return sum / static_cast<double>(columns);
}

}  // namespace

Result<Feedback> Feedback::create(const Hessian& hessian, std::span<const int64_t> order,
                                  double damping, int threads) {
  const double mean = mean_diagonal(hessian);
  if (!std::isfinite(mean) || mean < 0) {
    return invalid_argument("quantize", "the calibration's activations are not finite");
  }
  Feedback feedback;
  feedback.columns_ = hessian.columns();
  feedback.unit_ = mean > 0 ? mean : 1;
  for (int attempt = 0; attempt < kAttempts; ++attempt, damping *= 10) {
    // No input was ever other than 0: every error counts alike.
    feedback.added_ = mean > 0 ? damping : 1;
    feedback.factor_ = ordered(hessian, order, feedback.unit_);
    for (size_t i = 0; i < static_cast<size_t>(feedback.columns_); ++i) {
      feedback.factor_[i * static_cast<size_t>(feedback.columns_) + i] +=
          static_cast<float>(feedback.added_);
    }
    if (!Elimination(feedback.factor_.data(), feedback.columns_, threads).run()) continue;
    feedback.factor_blocks(threads);
    return feedback;
  }
  return invalid_argument("quantize", "the calibration's activations are not finite");
}

// A group's block of H is the sum over k of its rows of M times D_k; factored in place.
void Feedback::factor_blocks(int threads) {
  blocks_.resize(static_cast<size_t>(columns_) * kGroupColumns);
  for_each_task(columns_ / kGroupColumns, threads, [&](int64_t group) {
    const int first = static_cast<int>(group) * kGroupColumns;
    double h[kGroupColumns][kGroupColumns] = {};
    for (int k = first; k < columns_; ++k) {
      double m[kGroupColumns];
      for (int i = 0; i < kGroupColumns; ++i) {
        const int column = k - first;
        m[i] = i < column ? double{row(first + i)[k]} : i == column ? 1 : 0;
      }
      for (int i = 0; i < kGroupColumns; ++i) {
        for (int j = i; j < kGroupColumns; ++j) h[i][j] += m[i] * m[j] * double{cost(k)};
      }
    }
    float* out = blocks_.data() + static_cast<size_t>(first) * kGroupColumns;
    for (int k = kGroupColumns - 1; k >= 0; --k) {
      for (int i = 0; i < k; ++i) {
        for (int j = i; j < k; ++j) h[i][j] -= h[i][k] * h[j][k] / h[k][k];
      }
      out[k * kGroupColumns + k] = static_cast<float>(h[k][k]);
      for (int i = 0; i < k; ++i)
        out[i * kGroupColumns + k] = static_cast<float>(h[i][k] / h[k][k]);
    }
  });
}

}  // namespace mokume
