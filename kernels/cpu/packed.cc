#include "kernels/cpu/packed.h"

#include <algorithm>
#include <cstring>

#include "kernels/common/half.h"

namespace mokume::kernels {
namespace {

// Offsets of a row's parts in a quantized block: 4 bytes of vector `v`, and the scale of a group.
constexpr size_t vector_at(int v, int row) { return static_cast<size_t>(v) * 64 + row * 4; }

constexpr size_t scales_at(Format format) { return format == Format::kQ8_0 ? 1024 : 512; }

// ggml's blocks of 32 values: a header of f16 scale (and minimum), then the quants.
constexpr size_t source_block_bytes(Format format) {
  return format == Format::kQ8_0 ? 34 : format == Format::kQ4_0 ? 18 : 20;
}

void pack_group(Format format, const uint8_t* source, int row, int group, uint8_t* block) {
  const size_t scale = scales_at(format) + (group * kPanelRows + row) * 2;
  std::memcpy(block + scale, source, 2);
  const uint8_t* quants = source + 2;
  if (format == Format::kQ4_1) {
    std::memcpy(block + scale + 64, source + 2, 2);
    quants = source + 4;
  }
  if (format == Format::kQ8_0) {
    for (int i = 0; i < kGroup; ++i) {
      block[vector_at(group * 8 + i / 4, row) + i % 4] = quants[i] ^ 0x80;
    }
    return;
  }
  for (int v = 0; v < 4; ++v) {  // ggml pairs element j with j + 16 in a byte, as the panel does
    std::memcpy(block + vector_at(group * 4 + v, row), quants + v * 4, 4);
  }
}

// A group past the last column: value 0 in every format, because its scale and minimum are 0.
void pack_quantized_row(const PackedMatrix& shape, int row, const uint8_t* source, uint8_t* panel) {
  const int groups = (shape.columns + kGroup - 1) / kGroup;
  for (int g = 0; g < groups; ++g) {
    pack_group(shape.format, source + g * source_block_bytes(shape.format), row, g % 2,
               panel + (g / 2) * block_bytes(shape.format));
  }
}

void pack_float_row(const PackedMatrix& shape, int row, const uint8_t* source, uint8_t* panel) {
  const size_t size = block_bytes(shape.format) / kPanelRows;
  for (int k = 0; k < shape.columns; ++k) {
    std::memcpy(panel + (static_cast<size_t>(k) * kPanelRows + row) * size, source + k * size,
                size);
  }
}

}  // namespace

void pack_panel(const PackedMatrix& shape, int index, const uint8_t* source, size_t row_bytes,
                uint8_t* panel) {
  const int first = index * kPanelRows;
  const int rows = std::min(kPanelRows, shape.rows - first);
  const bool padded = rows < kPanelRows || shape.columns % block_columns(shape.format) != 0;
  if (padded) std::memset(panel, 0, shape.panel_bytes());
  for (int r = 0; r < rows; ++r) {
    const uint8_t* row = source + static_cast<size_t>(first + r) * row_bytes;
    if (is_quantized(shape.format)) {
      pack_quantized_row(shape, r, row, panel);
    } else {
      pack_float_row(shape, r, row, panel);
    }
  }
}

float packed_value(const PackedMatrix& matrix, int row, int column) {
  const uint8_t* panel = matrix.panel(row / kPanelRows);
  const int r = row % kPanelRows;
  if (!is_quantized(matrix.format)) {
    const size_t element = static_cast<size_t>(column) * kPanelRows + r;
    if (matrix.format == Format::kF32) {
      float value;
      std::memcpy(&value, panel + element * 4, 4);
      return value;
    }
    uint16_t bits;
    std::memcpy(&bits, panel + element * 2, 2);
    return matrix.format == Format::kF16 ? half_to_float(bits) : bfloat16_to_float(bits);
  }
  const uint8_t* block = panel + static_cast<size_t>(column / kBlock) * block_bytes(matrix.format);
  const int group = column % kBlock / kGroup;
  const int i = column % kGroup;
  uint16_t scale_bits;
  const size_t scale = scales_at(matrix.format) + (group * kPanelRows + r) * 2;
  std::memcpy(&scale_bits, block + scale, 2);
  const float d = half_to_float(scale_bits);
  if (matrix.format == Format::kQ8_0) {
    return d * static_cast<float>(block[vector_at(group * 8 + i / 4, r) + i % 4] - 128);
  }
  const uint8_t byte = block[vector_at(group * 4 + i % 16 / 4, r) + i % 4];
  const int q = i < 16 ? byte & 15 : byte >> 4;
  if (matrix.format == Format::kQ4_0) return d * static_cast<float>(q - 8);
  uint16_t min_bits;
  std::memcpy(&min_bits, block + scale + 64, 2);
  return d * static_cast<float>(q) + half_to_float(min_bits);
}

}  // namespace mokume::kernels
