#include "kernels/cpu/packed.h"

#include <algorithm>
#include <cstring>

#include "kernels/common/half.h"

namespace mokume::kernels {
namespace {

// Offset of a row's 4 bytes of vector `v` in a quantized block.
constexpr size_t vector_at(int v, int row) { return static_cast<size_t>(v) * 64 + row * 4; }

// ggml's blocks of 32 values: a header of f16 scale (and minimum), then the quants.
constexpr size_t source_block_bytes(Format format) {
  return format == Format::kQ8_0 ? 34 : format == Format::kQ4_0 ? 18 : 20;
}

void pack_group(Format format, const uint8_t* source, int row, int group, uint8_t* block) {
  const size_t scale = quants_bytes(format) + (group * kPanelRows + row) * 2;
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

namespace {

float float_value(const PackedMatrix& matrix, const uint8_t* panel, int r, int column) {
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

/// Entry `index` of a block's scales or minimums.
float scale_value(Format format, const uint8_t* scales, int index) {
  if (has_float_scales(format)) {
    float value;
    std::memcpy(&value, scales + index * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, scales + index * 2, 2);
  return half_to_float(bits);
}

int quant_value(Format format, const uint8_t* block, int r, int column) {
  if (!has_nibbles(format)) return block[vector_at(column / 4, r) + column % 4] - 128;
  const int group = column / kGroup, i = column % kGroup;
  const uint8_t byte = block[vector_at(group * 4 + i % 16 / 4, r) + i % 4];
  const int nibble = i < 16 ? byte & 15 : byte >> 4;
  return format == Format::kQ4_0 ? nibble - 8 : nibble;
}

}  // namespace

float packed_value(const PackedMatrix& matrix, int row, int column) {
  const Format format = matrix.format;
  const uint8_t* panel = matrix.panel(row / kPanelRows);
  const int r = row % kPanelRows;
  if (!is_quantized(format)) return float_value(matrix, panel, r, column);
  const uint8_t* block = panel + static_cast<size_t>(column / kBlock) * block_bytes(format);
  const int scale = column % kBlock / group_columns(format) * kPanelRows + r;
  const float q = static_cast<float>(quant_value(format, block, r, column % kBlock));
  const float value = scale_value(format, block + quants_bytes(format), scale) * q;
  if (!has_minimums(format)) return value;
  return value + scale_value(format, block + minimums_at(format), scale);
}

}  // namespace mokume::kernels
