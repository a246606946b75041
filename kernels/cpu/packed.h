// How a weight matrix lies in memory for the CPU kernels.
//
// A matrix [N, K] is cut into panels of 16 rows; a panel is one linear stream of blocks along K. A
// vector of 64 bytes holds one row a 32-bit lane, so that a dot-product instruction works on 16
// rows at once and an activation is broadcast. Rows past N and columns past K are zero.
//
//   float formats   block = 1 column:   16 elements
//   Q8_0            block = 64 columns: 16 vectors, vector v = rows x columns 4v..4v+3, as value +
//   128;
//                                       then f16 d[2][16], one scale a group of 32 columns and row
//   Q4_0            block = 64 columns: 8 vectors, 4 a group of 32: vector v of a group holds
//   columns
//                                       4v..4v+3 in its low and 16+4v..16+4v+3 in its high nibbles;
//                                       f16 d[2][16]
//   Q4_1            as Q4_0, then f16 m[2][16]
#pragma once

#include <cstddef>
#include <cstdint>

namespace mokume::kernels {

inline constexpr int kPanelRows = 16;
inline constexpr int kGroup = 32;  ///< columns that share a scale
inline constexpr int kBlock = 64;  ///< columns of a quantized block

enum class Format : uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_1 };

constexpr bool is_quantized(Format format) {
  return format == Format::kQ8_0 || format == Format::kQ4_0 || format == Format::kQ4_1;
}

/// Columns of a block.
constexpr int block_columns(Format format) { return is_quantized(format) ? kBlock : 1; }

/// Bytes of a block of 16 rows.
constexpr size_t block_bytes(Format format) {
  switch (format) {
    case Format::kF32:
      return 64;
    case Format::kF16:
    case Format::kBF16:
      return 32;
    case Format::kQ8_0:
      return 1024 + 64;
    case Format::kQ4_0:
      return 512 + 64;
    case Format::kQ4_1:
      return 512 + 128;
  }
  return 0;
}

struct PackedMatrix {
  Format format = Format::kF32;
  const uint8_t* data = nullptr;  ///< 64-byte aligned
  int rows = 0;                   ///< N
  int columns = 0;                ///< K

  int panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  int blocks() const { return (columns + block_columns(format) - 1) / block_columns(format); }
  size_t panel_bytes() const { return static_cast<size_t>(blocks()) * block_bytes(format); }
  const uint8_t* panel(int index) const {
    return data + static_cast<size_t>(index) * panel_bytes();
  }
};

/// Writes panel `index` from the rows of a GGUF-layout matrix (`row_bytes` apart): [rows, columns],
/// the layouts of ggml-common.h for the quantized formats. `panel` holds panel_bytes().
void pack_panel(const PackedMatrix& shape, int index, const uint8_t* source, size_t row_bytes,
                uint8_t* panel);

/// The value at [row, column], for references and tests.
float packed_value(const PackedMatrix& matrix, int row, int column);

}  // namespace mokume::kernels
