#include "quantize/calibrated_nvfp4.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/products.h"
#include "quantize/group_rounding.h"
#include "quantize/parallel.h"
#include "tensor/float8.h"
#include "weights/encode.h"

namespace mokume {
namespace {

// Of the way from the weights to those that give the wanted outputs best on the calibration's
// inputs. Half of it makes up for three quarters of what can be made up for, and takes a quarter of
// the chance that lies in a finite text.
constexpr float kShare = 0.5f;
// Over all groups, once they are rounded. The first takes 6 to 8% off the cost, the second 2%.
constexpr int kSweeps = 2;

// Rows [first_row, first_row + 64), in units of 1 / divisor. With the weights y that would give the
// wanted outputs best, rounded to q, it works on the remainder r = (y - q) M, column-major: the
// cost is the sum over k of D_k r_k^2, and y itself is never needed.
class RowBlock {
 public:
  RowBlock(const Feedback& feedback, EncodedMatrix& encoded, int64_t first_row, int count)
      : feedback_(feedback),
        encoded_(encoded),
        first_row_(first_row),
        count_(count),
        columns_(feedback.columns()),
        remainder_(static_cast<size_t>(columns_) * kGroupRows),
        rounded_(remainder_.size()),
        panel_(static_cast<size_t>(columns_) * kGroupColumns) {}

  Status run(const CalibratedMatrix& matrix, std::span<float> row) {
    MKM_RETURN_IF_ERROR(add(matrix.weights, encoded_.divisor, row));
    multiply();
    if (matrix.wanted) MKM_RETURN_IF_ERROR(lean(matrix, row));
    for (int first = 0; first < columns_; first += kGroupColumns) round_first(first);
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (int first = 0; first < columns_; first += kGroupColumns) round_again(first);
    }
    return absl::OkStatus();
  }

 private:
  GroupLanes& remainder(int first) { return group_of(remainder_, first); }
  GroupLanes& rounded(int first) { return group_of(rounded_, first); }
  static GroupLanes& group_of(std::vector<float>& values, int first) {
    return *reinterpret_cast<GroupLanes*>(values.data() + static_cast<size_t>(first) * kGroupRows);
  }

  // Adds the rows, times `factor`, to the remainder.
  Status add(const ReadRow& read, double factor, std::span<float> row) {
    for (int r = 0; r < count_; ++r) {
      MKM_RETURN_IF_ERROR(read(first_row_ + r, row));
      for (int k = 0; k < columns_; ++k) {
        remainder(k)[0][r] +=
            static_cast<float>(static_cast<double>(row[static_cast<size_t>(k)]) * factor);
      }
    }
    return absl::OkStatus();
  }

  // From what the weights are towards what gives the wanted outputs.
  Status lean(const CalibratedMatrix& matrix, std::span<float> row) {
    const std::vector<float> own = remainder_;
    std::fill(remainder_.begin(), remainder_.end(), 0.f);
    const double divisor = encoded_.divisor;
    MKM_RETURN_IF_ERROR(add(matrix.weights, divisor * feedback_.added(), row));
    MKM_RETURN_IF_ERROR(add(matrix.wanted, divisor / feedback_.unit(), row));
    solve();
    for (size_t i = 0; i < own.size(); ++i)
      remainder_[i] = own[i] + kShare * (remainder_[i] - own[i]);
    return absl::OkStatus();
  }

  // r -> r M.
  void multiply() {
    for (int first = columns_ - kGroupColumns; first >= 0; first -= kGroupColumns) {
      add_forward(first, remainder(first));
      times_m(feedback_.group(first), remainder(first));
    }
  }

  // r -> r (D M^T)^-1.
  void solve() {
    for (int first = columns_ - kGroupColumns; first >= 0; first -= kGroupColumns) {
      GroupLanes later = {};
      add_from(first, first + kGroupColumns, later);
      subtract(later, remainder(first));
      divide_by_dmt(feedback_.group(first), remainder(first));
    }
  }

  void round_first(int first) {
    const GroupFactor factor = feedback_.group(first);
    GroupLanes target;
    std::memcpy(target, remainder(first), sizeof(target));
    divide_by_m(factor, target);
    std::fill_n(best_.scales, kGroupRows, uint8_t{1});
    std::fill_n(best_.cost, kGroupRows, INFINITY);
    std::memset(best_.values, 0, sizeof(best_.values));
    round_group(target, factor, best_);
    take(first);
  }

  // Given all others, the group would be best at q + g H_gg^-1, where g = (r D M^T)_g.
  void round_again(int first) {
    const GroupFactor factor = feedback_.block(first);
    GroupLanes target = {};
    add_from(first, first, target);
    divide_by_dmt(factor, target);
    std::fill_n(best_.cost, kGroupRows, 0.f);
    for (int k = 0; k < kGroupColumns; ++k) {
      for (int r = 0; r < kGroupRows; ++r)
        best_.cost[r] += factor.cost(k) * target[k][r] * target[k][r];
    }
    divide_by_m(factor, target);
    for (int k = 0; k < kGroupColumns; ++k) {
      for (int r = 0; r < kGroupRows; ++r) target[k][r] += rounded(first)[k][r];
    }
    std::memcpy(best_.values, rounded(first), sizeof(best_.values));
    for (int r = 0; r < count_; ++r)
      best_.scales[r] = std::to_integer<uint8_t>(encoded_.scales[at(r, first) / kGroupColumns]);
    round_group(target, factor, best_);
    take(first);
  }

  // The group's values become those of best_.
  void take(int first) {
    GroupLanes change;
    std::memcpy(change, rounded(first), sizeof(change));
    subtract(best_.values, change);
    std::memcpy(rounded(first), best_.values, sizeof(best_.values));
    add_forward(first, change);
    times_m(feedback_.group(first), change);
    for (int k = 0; k < kGroupColumns; ++k) {
      for (int r = 0; r < kGroupRows; ++r) remainder(first)[k][r] += change[k][r];
    }
    store(first);
  }

  // Adds values * M to the remainder of the columns after the group.
  void add_forward(int first, const GroupLanes& values) {
    const int next = first + kGroupColumns;
    if (next == columns_) return;
    kernels::add_products({feedback_.row(first) + next, static_cast<size_t>(columns_)},
                          {&values[0][0], kGroupRows}, kGroupColumns, &remainder(next)[0][0],
                          kGroupRows, columns_ - next, kGroupRows);
  }

  // Adds the group's columns of r D M^T to `sums`, of the r from column `begin` on.
  void add_from(int first, int begin, GroupLanes& sums) {
    for (int k = begin; k < columns_; ++k) {
      float* multiples = panel_.data() + static_cast<size_t>(k - begin) * kGroupColumns;
      for (int i = 0; i < kGroupColumns; ++i) {
        const int column = first + i;
        const float m = column < k ? feedback_.row(column)[k] : column == k ? 1.f : 0.f;
        multiples[i] = m * feedback_.cost(k);
      }
    }
    if (begin == columns_) return;
    kernels::add_products({panel_.data(), kGroupColumns}, {&remainder(begin)[0][0], kGroupRows},
                          columns_ - begin, &sums[0][0], kGroupRows, kGroupColumns, kGroupRows);
  }

  static void subtract(const GroupLanes& values, GroupLanes& from) {
    for (int k = 0; k < kGroupColumns; ++k) {
      for (int r = 0; r < kGroupRows; ++r) from[k][r] -= values[k][r];
    }
  }

  size_t at(int row, int column) const {
    return static_cast<size_t>(first_row_ + row) * static_cast<size_t>(columns_) +
           static_cast<size_t>(column);
  }

  void store(int first) {
    for (int r = 0; r < count_; ++r) {
      const size_t begin = at(r, first);
      encoded_.scales[begin / kGroupColumns] = std::byte{best_.scales[r]};
      const float inverse = 1 / e4m3_to_float(best_.scales[r]);
      for (int k = 0; k < kGroupColumns; k += 2) {
        encoded_.values[(begin + static_cast<size_t>(k)) / 2] =
            static_cast<std::byte>(float_to_e2m1(best_.values[k][r] * inverse) |
                                   float_to_e2m1(best_.values[k + 1][r] * inverse) << 4);
      }
    }
  }

  const Feedback& feedback_;
  EncodedMatrix& encoded_;
  const int64_t first_row_;
  const int count_, columns_;
  std::vector<float> remainder_, rounded_;
  std::vector<float> panel_;
  RoundedGroup best_ = {};
};

Result<float> largest_magnitude(int64_t rows, int columns, const ReadRow& read) {
  float largest = 0;
  std::vector<float> row(static_cast<size_t>(columns));
  for (int64_t i = 0; i < rows; ++i) {
    MKM_RETURN_IF_ERROR(read(i, row));
    for (const float x : row) largest = std::max(largest, std::abs(x));
  }
  return largest;
}

}  // namespace

Result<EncodedMatrix> calibrated_nvfp4(const CalibratedMatrix& matrix, const Feedback& feedback,
                                       int threads) {
  EncodedMatrix encoded;
  MKM_ASSIGN_OR_RETURN(const float largest,
                       largest_magnitude(matrix.rows, feedback.columns(), matrix.weights));
  encoded.divisor = nvfp4_divisor(largest);
  const auto elements = static_cast<size_t>(matrix.rows) * static_cast<size_t>(feedback.columns());
  encoded.values.resize(elements / 2);
  encoded.scales.resize(elements / kGroupColumns);
  const auto round = [&](int64_t block, std::span<float> row) {
    const int64_t first = block * kGroupRows;
    const auto count = static_cast<int>(std::min<int64_t>(kGroupRows, matrix.rows - first));
    return RowBlock(feedback, encoded, first, count).run(matrix, row);
  };
  MKM_RETURN_IF_ERROR(for_each_row((matrix.rows + kGroupRows - 1) / kGroupRows, feedback.columns(),
                                   threads, round));
  return encoded;
}

}  // namespace mokume
