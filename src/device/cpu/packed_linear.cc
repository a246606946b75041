#include "device/cpu/packed_linear.h"

#include <optional>

#include "base/checked.h"
#include "kernels/cpu/block_types.h"

namespace mokume {
namespace {

/// How the kernels take a type: as it is, or from ggml's blocks.
struct Packing {
  kernels::Format format;
  std::optional<kernels::BlockType> blocks;
};

Packing from_blocks(kernels::BlockType type) { return {kernels::packed_format(type), type}; }

std::optional<Packing> packing_of(DType type) {
  using kernels::BlockType;
  using kernels::Format;
  switch (type) {
    case DType::kF32:
      return Packing{Format::kF32, {}};
    case DType::kF16:
      return Packing{Format::kF16, {}};
    case DType::kBF16:
      return Packing{Format::kBF16, {}};
    case DType::kQ8_0:
      return Packing{Format::kQ8_0, {}};
    case DType::kQ4_0:
      return Packing{Format::kQ4_0, {}};
    case DType::kQ4_1:
      return Packing{Format::kQ4_1, {}};
    case DType::kQ5_0:
      return from_blocks(BlockType::kQ5_0);
    case DType::kQ5_1:
      return from_blocks(BlockType::kQ5_1);
    case DType::kQ4_K:
      return from_blocks(BlockType::kQ4_K);
    case DType::kQ5_K:
      return from_blocks(BlockType::kQ5_K);
    case DType::kQ6_K:
      return from_blocks(BlockType::kQ6_K);
    case DType::kIQ4_NL:
      return from_blocks(BlockType::kIQ4_NL);
    case DType::kMXFP4:
      return from_blocks(BlockType::kMXFP4);
    case DType::kNVFP4:
      return from_blocks(BlockType::kNVFP4);
    case DType::kI8:
    case DType::kF8_E4M3:
    case DType::kE2M1:
      return std::nullopt;
  }
  return std::nullopt;
}

kernels::PackedMatrix shape_of(const TensorView& weight, const Packing& packing) {
  return {packing.format, nullptr, static_cast<int>(weight.rows()),
          static_cast<int>(weight.columns())};
}

void pack_panel(const kernels::PackedMatrix& matrix, int panel, const Linear& linear,
                const Packing& packing, uint8_t* target) {
  const auto* source = reinterpret_cast<const uint8_t*>(linear.weight.data);
  const size_t row_bytes = linear.weight.bytes / static_cast<uint64_t>(linear.weight.rows());
  if (packing.blocks) {
    kernels::pack_block_panel(matrix, panel, *packing.blocks, source, row_bytes, linear.scale,
                              target);
  } else {
    kernels::pack_panel(matrix, panel, source, row_bytes, target);
  }
}

}  // namespace

uint64_t packed_bytes(const TensorView& weight) {
  const auto packing = packing_of(weight.dtype);
  if (!packing) return 0;
  const auto shape = shape_of(weight, *packing);
  return static_cast<uint64_t>(
      round_up(static_cast<int64_t>(shape.panel_bytes()) * shape.panels(), kernels::kBlock));
}

Result<PackedLinear> pack_linear(const Linear& linear, uint8_t* storage, ThreadPool& pool) {
  const auto packing = packing_of(linear.weight.dtype);
  if (!packing) {
    return invalid_argument("cpu", "tensor ", linear.weight.name, " has type ",
                            dtype_info(linear.weight.dtype).name,
                            ", which the CPU device cannot multiply");
  }
  PackedLinear packed;
  packed.matrix = shape_of(linear.weight, *packing);
  packed.matrix.data = storage;
  if (linear.bias) packed.bias = reinterpret_cast<const float*>(linear.bias.data);
  pool.run(packed.matrix.panels(), 4, [&](int begin, int end) {
    for (int p = begin; p < end; ++p) {
      pack_panel(packed.matrix, p, linear, *packing, storage + p * packed.matrix.panel_bytes());
    }
  });
  return packed;
}

}  // namespace mokume
