#include "device/cpu/packed_linear.h"

#include <optional>

#include "base/checked.h"

namespace mokume {
namespace {

std::optional<kernels::Format> format_of(DType type) {
  switch (type) {
    case DType::kF32:
      return kernels::Format::kF32;
    case DType::kF16:
      return kernels::Format::kF16;
    case DType::kBF16:
      return kernels::Format::kBF16;
    case DType::kQ8_0:
      return kernels::Format::kQ8_0;
    case DType::kQ4_0:
      return kernels::Format::kQ4_0;
    case DType::kQ4_1:
      return kernels::Format::kQ4_1;
  }
  return std::nullopt;
}

kernels::PackedMatrix shape_of(const TensorView& weight, kernels::Format format) {
  return {format, nullptr, static_cast<int>(weight.rows()), static_cast<int>(weight.columns())};
}

}  // namespace

uint64_t packed_bytes(const TensorView& weight) {
  const auto format = format_of(weight.dtype);
  if (!format) return 0;
  const auto shape = shape_of(weight, *format);
  return static_cast<uint64_t>(
      round_up(static_cast<int64_t>(shape.panel_bytes()) * shape.panels(), kernels::kBlock));
}

Result<PackedLinear> pack_linear(const Linear& linear, uint8_t* storage, ThreadPool& pool) {
  const auto format = format_of(linear.weight.dtype);
  if (!format) {
    return invalid_argument("cpu", "tensor ", linear.weight.name, " has type ",
                            dtype_info(linear.weight.dtype).name,
                            ", which the CPU device cannot multiply");
  }
  PackedLinear packed;
  packed.matrix = shape_of(linear.weight, *format);
  packed.matrix.data = storage;
  if (linear.bias) packed.bias = reinterpret_cast<const float*>(linear.bias.data);
  const auto* source = reinterpret_cast<const uint8_t*>(linear.weight.data);
  const size_t source_row = linear.weight.bytes / static_cast<uint64_t>(linear.weight.rows());
  pool.run(packed.matrix.panels(), 4, [&](int begin, int end) {
    for (int p = begin; p < end; ++p) {
      kernels::pack_panel(packed.matrix, p, source, source_row,
                          storage + p * packed.matrix.panel_bytes());
    }
  });
  return packed;
}

}  // namespace mokume
