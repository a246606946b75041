// Rows of float32, cut into panels of columns that stay in a core's cache while they are
// multiplied.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mokume {

class Panels {
 public:
  static constexpr int kColumns = 128;  // of a panel
  static constexpr int kRows = 256;     // most at a time

  explicit Panels(int columns);

  /// rows [tokens, columns], row-major; at most kRows of them.
  void pack(std::span<const float> rows, int tokens, int threads);

  int count() const { return (columns_ + kColumns - 1) / kColumns; }
  /// Columns of panel `i`, up to the next multiple of 16; those beyond `columns` are 0.
  int width(int i) const;
  /// Panel `i`: rows kColumns apart.
  const float* panel(int i) const {
    return packed_.data() + static_cast<size_t>(i) * kColumns * kRows;
  }

 private:
  int columns_;
  std::vector<float> packed_;
};

}  // namespace mokume
