#include "quantize/matrix_rows.h"

#include <algorithm>
#include <cmath>

#include "model/linear.h"

namespace mokume {

MatrixRows::MatrixRows(const Linear& linear, PartOrder order)
    : linear_(linear), order_(std::move(order)) {}

Status MatrixRows::read(int64_t row, std::span<float> out) const {
  const int64_t source = order_.rows.empty() ? row : order_.rows[static_cast<size_t>(row)];
  dequantize_linear_row(linear_, source, out);
  if (!std::ranges::all_of(out, [](float x) { return std::isfinite(x); })) {
    return invalid_argument("quantize", "tensor ", linear_.weight.name, " has a value in row ",
                            source, " that is not finite");
  }
  if (order_.columns.empty()) return absl::OkStatus();
  const std::vector<float> values(out.begin(), out.end());
  for (size_t i = 0; i < out.size(); ++i) out[i] = values[static_cast<size_t>(order_.columns[i])];
  return absl::OkStatus();
}

TensorView MatrixRows::slice(int64_t begin, int64_t end) const {
  if (!order_.rows.empty()) return {};
  TensorView view = linear_.weight;
  const uint64_t row_bytes = view.bytes / static_cast<uint64_t>(rows());
  view.data += static_cast<uint64_t>(begin) * row_bytes;
  view.bytes = static_cast<uint64_t>(end - begin) * row_bytes;
  return view;
}

}  // namespace mokume
