// How the rounding error of a column is made up for by the columns that follow it.
//
// With the second moments H = M D M^T of the inputs, M unit upper triangular and D diagonal, a row
// w that is rounded to q costs (w - q) H (w - q)^T. Rounding column k of
//   t_k = w_k + sum over j < k of (w_j - q_j) M_jk
// makes that cost sum over k of D_k (t_k - q_k)^2: each column is rounded as well as can be, given
// those before it. This is GPTQ (arXiv:2210.17323) in the form of LDLQ (arXiv:2307.13304), which
// shows the two equal; it needs one triangular factor and no inverse.
//
// Once all are rounded, a group of columns can be looked at again, given all others as they are:
// what an error of its own costs then is its block of H.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "quantize/group_rounding.h"
#include "quantize/hessian.h"

namespace mokume {

class Feedback {
 public:
  /// Adds `damping` times the mean of the diagonal to it, ten times as much where H has no such
  /// factor otherwise. `order` gives the columns' order, order[i] being the column of H that comes
  /// i-th; empty: as they are. InvalidArgument when H holds what is not finite.
  static Result<Feedback> create(const Hessian& hessian, std::span<const int64_t> order,
                                 double damping, int threads);

  int columns() const { return columns_; }
  /// M_jk for k > j, at [k]: row j of M.
  const float* row(int j) const { return factor_.data() + static_cast<size_t>(j) * columns_; }
  /// D_k, above 0, in units of the mean of H's diagonal.
  float cost(int k) const { return row(k)[k]; }
  /// Of the group of columns from `first` on: its part of M and D.
  GroupFactor group(int first) const { return {row(first) + first, static_cast<size_t>(columns_)}; }
  /// The same of its block of H alone.
  GroupFactor block(int first) const {
    return {blocks_.data() + static_cast<size_t>(first) * kGroupColumns, kGroupColumns};
  }
  /// What H was divided by, and what was added to its diagonal then.
  double unit() const { return unit_; }
  double added() const { return added_; }

 private:
  void factor_blocks(int threads);

  int columns_ = 0;
  double unit_ = 1, added_ = 0;
  std::vector<float> factor_;  // M above the diagonal, D on it
  std::vector<float> blocks_;  // [columns / 16][16][16]
};

}  // namespace mokume
