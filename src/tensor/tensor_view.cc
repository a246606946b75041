#include "tensor/tensor_view.h"

#include <cassert>
#include <cstring>

#include "tensor/half.h"

namespace mokume {
namespace {

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

float load_half(const std::byte* from) { return half_to_float(load<uint16_t>(from)); }

void dequantize_block(DType type, const std::byte* block, float* out) {
  switch (type) {
    case DType::kF32:
      *out = load<float>(block);
      return;
    case DType::kF16:
      *out = load_half(block);
      return;
    case DType::kBF16:
      *out = bfloat16_to_float(load<uint16_t>(block));
      return;
    case DType::kQ8_0: {
      const float d = load_half(block);
      for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(load<int8_t>(block + 2 + j));
      return;
    }
    case DType::kQ4_0: {
      const float d = load_half(block);
      for (int j = 0; j < 16; ++j) {
        const int quants = load<uint8_t>(block + 2 + j);
        out[j] = d * static_cast<float>((quants & 15) - 8);
        out[j + 16] = d * static_cast<float>((quants >> 4) - 8);
      }
      return;
    }
    case DType::kQ4_1: {
      const float d = load_half(block);
      const float m = load_half(block + 2);
      for (int j = 0; j < 16; ++j) {
        const int quants = load<uint8_t>(block + 4 + j);
        out[j] = d * static_cast<float>(quants & 15) + m;
        out[j + 16] = d * static_cast<float>(quants >> 4) + m;
      }
      return;
    }
  }
}

}  // namespace

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
