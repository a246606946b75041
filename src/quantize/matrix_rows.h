// A matrix as it is to be written: float32 rows, in the order that the target format keeps.
#pragma once

#include <span>

#include "base/status.h"
#include "quantize/order.h"

namespace mokume {

/// Borrows the tensor's memory. May be read from several threads at once.
class MatrixRows {
 public:
  MatrixRows(const Linear& linear, PartOrder order);

  int64_t rows() const { return linear_.weight.rows(); }
  int64_t columns() const { return linear_.weight.columns(); }
  const Linear& source() const { return linear_; }
  /// How rows and columns of the source were reordered; who has statistics of the inputs, in the
  /// source's order, needs the columns'.
  const PartOrder& order() const { return order_; }

  /// Writes row `row`, every scale applied; `out` holds columns() values. InvalidArgument names the
  /// tensor when a value is not finite.
  Status read(int64_t row, std::span<float> out) const;

  /// The part of the source's memory that rows [begin, end) lie in; empty when rows are reordered.
  TensorView slice(int64_t begin, int64_t end) const;

 private:
  const Linear linear_;
  const PartOrder order_;
};

}  // namespace mokume
