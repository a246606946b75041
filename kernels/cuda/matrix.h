// How a weight matrix lies in a CUDA device's memory.
//
// A matrix [N, K] is up to three planes, each row-major and 16-byte aligned, so that a lane reads
// 16 bytes of a row and the next lane the next 16:
//
//   data      the elements, or the quants, of a row one behind the other. Quants of 4 bits lie in
//             blocks of 32 columns and 16 bytes, as in GGUF's Q4_0: byte j holds column j in its
//             low and column j + 16 in its high half.
//   scales    one a group of columns, [N][K / group], or one a row
//   minimums  as scales
//
//   format   element        group   scale     value
//   kF32     f32            -       -         element
//   kF16     f16            -       -         element
//   kBF16    bf16           -       -         element
//   kF8      E4M3           row     f32       element * scale
//   kInt8    int8           row     f32       element * scale
//   kQ8      int8           32      f16       element * scale
//   kQ4      4 bits         32      f16       (element - 8) * scale
//   kQ4Min   4 bits         32      f16       element * scale + minimum
//   kNvfp4   E2M1           16      E4M3      element * scale * factor of the matrix
//
// K is a multiple of the elements in 16 bytes (of 32 in the formats of 4 bits and in kQ8): a
// checkpoint's blocks are, and other matrices are padded with zeros where they are loaded.
//
// What checkpoints have beside these is converted where it is loaded: without loss Q8_0, Q5_0 and
// IQ4_NL to kQ8 (their levels are int8), MXFP4 to kBF16, integers plus 128 to kInt8; with f16's
// rounding Q5_1, Q5_K, Q6_K to kF16 and Q4_K to kQ4Min (a group's scale and minimum rounded to
// f16). For an exact stage those of the second kind become kF32.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mokume::cuda {

enum class Format : uint8_t { kF32, kF16, kBF16, kF8, kInt8, kQ8, kQ4, kQ4Min, kNvfp4 };
inline constexpr int kFormats = 9;

constexpr int bits(Format format) {
  switch (format) {
    case Format::kF32:
      return 32;
    case Format::kF16:
    case Format::kBF16:
      return 16;
    case Format::kF8:
    case Format::kInt8:
    case Format::kQ8:
      return 8;
    default:
      return 4;
  }
}

/// Columns that K is a multiple of.
constexpr int column_multiple(Format format) {
  return format == Format::kQ8 ? 32 : 128 / bits(format);
}

/// Columns that share a scale; 0: the whole row, or none.
constexpr int scale_group(Format format) {
  if (format == Format::kNvfp4) return 16;
  return format == Format::kQ8 || bits(format) == 4 ? 32 : 0;
}

constexpr size_t scale_bytes(Format format) {
  if (format == Format::kF8 || format == Format::kInt8) return 4;
  if (format == Format::kNvfp4) return 1;
  return scale_group(format) ? 2 : 0;
}

constexpr bool has_minimums(Format format) { return format == Format::kQ4Min; }

constexpr size_t data_bytes(Format format, int rows, int columns) {
  return static_cast<size_t>(rows) * columns * bits(format) / 8;
}

/// Bytes of the scales, and of the minimums where there are some.
constexpr size_t scales_bytes(Format format, int rows, int columns) {
  const int group = scale_group(format);
  return scale_bytes(format) * rows * (group ? columns / group : 1);
}

/// Where cuBLASLt looks for the scale of 16 columns of an NVFP4 operand whose rows have `groups` of
/// them: in tiles of 128 rows by 4 groups, 512 bytes each, one row of tiles behind the other.
constexpr size_t block_scale_at(int row, int group, int groups) {
  const size_t tile = static_cast<size_t>(row / 128) * ((groups + 3) / 4) + group / 4;
  return tile * 512 + row % 32 * 16 + row % 128 / 32 * 4 + group % 4;
}
/// Bytes of all of them, whole tiles.
constexpr size_t block_scales_bytes(int rows, int columns) {
  return static_cast<size_t>((rows + 127) / 128) * ((columns / 16 + 3) / 4) * 512;
}

struct Matrix {
  Format format = Format::kF32;
  const void* data = nullptr;
  const void* scales = nullptr;
  const void* minimums = nullptr;
  const float* bias = nullptr;  ///< [rows]; may be null
  int rows = 0;                 ///< N
  int columns = 0;              ///< K
  float factor = 1;             ///< kNvfp4
};

}  // namespace mokume::cuda
