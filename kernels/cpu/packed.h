// How a weight matrix lies in memory for the CPU kernels.
//
// A matrix [N, K] is cut into panels of 16 rows; a panel is one linear stream of blocks along K. A
// vector of 64 bytes holds one row a 32-bit lane, so that a dot-product instruction works on 16
// rows at once and an activation is broadcast. Rows past N and columns past K are zero.
//
//   float formats   block = 1 column:   16 elements
//   Q8_0            block = 64 columns: 16 vectors, vector v = rows x columns 4v..4v+3, as value +
//                                       128; then f16 d[2][16], one scale a group of 32 columns and
//                                       row
//   Q4_0            block = 64 columns: 8 vectors, 4 a group of 32: vector v of a group holds
//                                       columns 4v..4v+3 in its low and 16+4v..16+4v+3 in its high
//                                       nibbles; f16 d[2][16]
//   Q4_1            as Q4_0, then f16 m[2][16]
//   Int8G32         vectors as Q8_0, then f32 d[2][16]: value = d * q
//   Int8G32Min      as Int8G32, then f32 m[2][16]: value = d * q + m
//   Int8G16         vectors as Q8_0, then f32 d[4][16], one scale a group of 16 columns and row
//
// The Int8 formats hold every block type of block_types.h without loss, at 9 or 10 bits a weight. A
// denser layout for each of those types is not their aim.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mokume::kernels {

inline constexpr int kPanelRows = 16;
inline constexpr int kGroup = 32;  ///< columns that share a scale
inline constexpr int kBlock = 64;  ///< columns of a quantized block

enum class Format : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kInt8G32,
  kInt8G32Min,
  kInt8G16
};

constexpr bool is_quantized(Format format) { return format >= Format::kQ8_0; }

/// Columns of a block.
constexpr int block_columns(Format format) { return is_quantized(format) ? kBlock : 1; }

// The parts of a quantized block: quants, then scales, then minimums.
constexpr bool has_nibbles(Format f) { return f == Format::kQ4_0 || f == Format::kQ4_1; }
constexpr bool has_minimums(Format f) { return f == Format::kQ4_1 || f == Format::kInt8G32Min; }
constexpr bool has_float_scales(Format f) { return f >= Format::kInt8G32; }
constexpr int group_columns(Format f) { return f == Format::kInt8G16 ? 16 : kGroup; }
constexpr int block_groups(Format f) { return kBlock / group_columns(f); }
constexpr size_t quants_bytes(Format f) { return has_nibbles(f) ? 512 : 1024; }
/// Bytes of the scales of one group, and of its minimums.
constexpr size_t scale_bytes(Format f) { return kPanelRows * (has_float_scales(f) ? 4 : 2); }
constexpr size_t minimums_at(Format f) {
  return quants_bytes(f) + static_cast<size_t>(block_groups(f)) * scale_bytes(f);
}

/// Bytes of a block of 16 rows.
constexpr size_t block_bytes(Format format) {
  if (format == Format::kF32) return 64;
  if (!is_quantized(format)) return 32;
  return minimums_at(format) +
         (has_minimums(format) ? static_cast<size_t>(block_groups(format)) * scale_bytes(format)
                               : 0);
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
/// the layouts of ggml-common.h for the quantized formats. `panel` holds panel_bytes(). The Int8
/// formats are packed by pack_block_panel (block_types.h).
void pack_panel(const PackedMatrix& shape, int index, const uint8_t* source, size_t row_bytes,
                uint8_t* panel);

/// The value at [row, column], for references and tests.
float packed_value(const PackedMatrix& matrix, int row, int column);

}  // namespace mokume::kernels
