#include "tensor/tensor_view.h"

#include <cassert>

#include "tensor/dequantize_block.h"

namespace mokume {

int64_t TensorView::rows() const {
  int64_t rows = 1;
  for (int i = 0; i + 1 < rank; ++i) rows *= shape[i];
  return rows;
}

int64_t TensorView::columns() const { return rank == 0 ? 0 : shape[rank - 1]; }

std::string to_string(const TensorView& tensor) {
  std::string text = "[";
  for (int i = 0; i < tensor.rank; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(tensor.shape[i]);
  }
  return text.append("] ").append(dtype_info(tensor.dtype).name);
}

void dequantize_row(const TensorView& tensor, int64_t row, std::span<float> out) {
  assert(row >= 0 && row < tensor.rows());
  assert(static_cast<int64_t>(out.size()) == tensor.columns());
  const DTypeInfo& info = dtype_info(tensor.dtype);
  const size_t blocks = out.size() / info.block_elements;
  const std::byte* block = tensor.data + row * blocks * info.block_bytes;
  float* values = out.data();
  for (size_t i = 0; i < blocks; ++i, block += info.block_bytes, values += info.block_elements) {
    dequantize_block(tensor.dtype, block, values);
  }
}

}  // namespace mokume
