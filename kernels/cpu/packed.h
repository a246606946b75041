// How a weight matrix lies in memory for the CPU kernels.
//
// A matrix [N, K] is cut into panels of 16 rows; a panel is one linear stream of blocks along K,
// then, in the formats that have them, f32[16] scales of its rows. A vector of 64 bytes holds one
// row a 32-bit lane, so that a dot-product instruction works on 16 rows at once and an activation
// is broadcast. Rows past N are zero, and columns past K meet activations of zero.
//
// In the float formats a block is 1 column of 16 elements. In the others it is 64 columns, or 256
// where its rows have factors, cut into groups that share a scale: the quants of every group, the
// scales [groups][16], the minimums [groups][16], f16[16] factors of the scales, f16[16] of the
// minimums.
//
//   bytes     a group of G columns is G/4 vectors; vector v holds columns 4v..4v+3
//   nibbles   a group is G/8 vectors; vector v holds columns 4v..4v+3 in its low and
//             G/2+4v..G/2+4v+3 in its high nibbles
//   5, 6 bits as nibbles, and then one vector of the 1 or 2 bits above: those of columns 4q..4q+3
//             are its bits q, or 2q and 2q+1
//   words     a group is G/2 vectors; vector v holds columns 2v and 2v+1 as int16
//
//   value = (level(quant) - zero) * scale * unit * factor of the matrix (+ minimum), where level()
//   looks up a table in some formats; or times the row's scale instead of the factor.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mokume::kernels {

inline constexpr int kPanelRows = 16;
inline constexpr int kGroup = 32;        ///< columns that share a scale of the activations
inline constexpr int kBlock = 64;        ///< columns of a quantized block
inline constexpr int kSuperBlock = 256;  ///< columns of one whose rows have factors

enum class Format : uint8_t {
  kF32,
  kF16,
  kBF16,
  kF8,  ///< E4M3, a scale a row
  kQ8_0,
  kInt8,  ///< a scale a row
  kQ4_0,
  kQ4_1,
  kIQ4_NL,
  kMXFP4,
  kNVFP4,
  kQ5_0,
  kQ5_1,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kInt16  ///< of kWordLimit at most, so that a group's products with as small ones fit int32
};

constexpr bool is_quantized(Format format) { return format >= Format::kQ8_0; }
/// Whether its products are with activations of int16, not int8.
constexpr bool is_wide(Format format) { return format == Format::kInt16; }

/// The largest magnitude of 16-bit quants: 32 products of two of them fit int32.
inline constexpr int kWordLimit = 8191;

enum class Quants : uint8_t { kBytes, kNibbles, kFiveBits, kSixBits, kWords };
/// Whether four bits of each lie as nibbles do.
constexpr bool has_nibbles(Quants quants) {
  return quants != Quants::kBytes && quants != Quants::kWords;
}
/// Bits above the nibbles.
constexpr int high_bits(Quants quants) {
  return quants == Quants::kFiveBits ? 1 : quants == Quants::kSixBits ? 2 : 0;
}
/// What a quant stands for, before the zero is taken off.
enum class Levels : uint8_t { kLinear, kDoubledE2m1, kIq4Nl };
/// Types of the scales of groups. E4M3 has no sign here; E8M0 is 2^(e - 127); an int8 is multiplied
/// by its row's factor in the block.
enum class Scales : uint8_t { kNone, kF16, kE4M3, kE8M0, kInt8 };

/// How a quantized format lies in its blocks.
struct Layout {
  Quants quants;
  Levels levels;
  int zero;  ///< the level that stands for 0
  int group;
  Scales scales;
  bool minimums;  ///< of the same type as the scales
};

constexpr Layout layout(Format format) {
  switch (format) {
    case Format::kQ8_0:
      return {Quants::kBytes, Levels::kLinear, 128, 32, Scales::kF16, false};
    case Format::kInt8:
      return {Quants::kBytes, Levels::kLinear, 128, 32, Scales::kNone, false};
    case Format::kQ4_0:
      return {Quants::kNibbles, Levels::kLinear, 8, 32, Scales::kF16, false};
    case Format::kQ4_1:
      return {Quants::kNibbles, Levels::kLinear, 0, 32, Scales::kF16, true};
    case Format::kIQ4_NL:
      return {Quants::kNibbles, Levels::kIq4Nl, 128, 32, Scales::kF16, false};
    case Format::kMXFP4:
      return {Quants::kNibbles, Levels::kDoubledE2m1, 16, 32, Scales::kE8M0, false};
    case Format::kNVFP4:
      return {Quants::kNibbles, Levels::kDoubledE2m1, 16, 16, Scales::kE4M3, false};
    case Format::kQ5_0:
      return {Quants::kFiveBits, Levels::kLinear, 16, 32, Scales::kF16, false};
    case Format::kQ5_1:
      return {Quants::kFiveBits, Levels::kLinear, 0, 32, Scales::kF16, true};
    case Format::kQ4_K:
      return {Quants::kNibbles, Levels::kLinear, 0, 32, Scales::kInt8, true};
    case Format::kQ5_K:
      return {Quants::kFiveBits, Levels::kLinear, 0, 32, Scales::kInt8, true};
    case Format::kQ6_K:
      return {Quants::kSixBits, Levels::kLinear, 32, 16, Scales::kInt8, false};
    case Format::kInt16:
      return {Quants::kWords, Levels::kLinear, 0, 32, Scales::kE8M0, false};
    default:
      return {};
  }
}

/// The levels of 16 nibbles, each with its format's zero added.
inline constexpr uint8_t kDoubledE2m1[16] = {16, 17, 18, 19, 20, 22, 24, 28,
                                             16, 15, 14, 13, 12, 10, 8,  4};
inline constexpr uint8_t kIq4Nl[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                       129, 141, 153, 166, 181, 197, 217, 241};

/// The kernels read E4M3 as half floats of the same bits, which are 2^-8 of its value, and E8M0 as
/// half of its value, which is always a float; levels of E2M1 are doubled.
constexpr float unit(Format format) {
  switch (format) {
    case Format::kF8:
      return 256.0f;
    case Format::kNVFP4:
      return 128.0f;
    case Format::kInt16:
      return 2.0f;
    default:
      return 1.0f;
  }
}

constexpr bool has_factors(Format f) { return layout(f).scales == Scales::kInt8; }
/// Columns of a block.
constexpr int block_columns(Format format) {
  return !is_quantized(format) ? 1 : has_factors(format) ? kSuperBlock : kBlock;
}
constexpr bool has_row_scales(Format f) { return f == Format::kInt8 || f == Format::kF8; }
constexpr int block_groups(Format f) { return block_columns(f) / layout(f).group; }

/// Bytes of a group's quants, without the bits above nibbles.
constexpr size_t group_low_bytes(Format f) {
  const size_t quants = static_cast<size_t>(layout(f).group) * kPanelRows;
  return has_nibbles(layout(f).quants)        ? quants / 2
         : layout(f).quants == Quants::kWords ? quants * 2
                                              : quants;
}
constexpr size_t group_quants_bytes(Format f) {
  return group_low_bytes(f) + (high_bits(layout(f).quants) > 0 ? 64 : 0);
}
/// Bytes of one scale, and of one minimum.
constexpr size_t scale_bytes(Format f) {
  switch (layout(f).scales) {
    case Scales::kNone:
      return 0;
    case Scales::kF16:
      return 2;
    default:
      return 1;
  }
}
constexpr size_t scales_at(Format f) {
  return static_cast<size_t>(block_groups(f)) * group_quants_bytes(f);
}
constexpr size_t minimums_at(Format f) {
  return scales_at(f) + static_cast<size_t>(block_groups(f)) * kPanelRows * scale_bytes(f);
}
constexpr size_t factors_at(Format f) {
  return minimums_at(f) + (layout(f).minimums ? minimums_at(f) - scales_at(f) : 0);
}
inline constexpr size_t kFactorBytes = kPanelRows * 2;  ///< of the scales, and of the minimums

/// Bytes of a block of 16 rows. Those with factors begin at cache lines.
constexpr size_t block_bytes(Format f) {
  if (f == Format::kF32) return 64;
  if (f == Format::kF8) return 16;
  if (!is_quantized(f)) return 32;
  if (!has_factors(f)) return factors_at(f);
  return (factors_at(f) + (layout(f).minimums ? 2 : 1) * kFactorBytes + 63) / 64 * 64;
}

struct PackedMatrix {
  Format format = Format::kF32;
  const uint8_t* data = nullptr;  ///< 64-byte aligned
  int rows = 0;                   ///< N
  int columns = 0;                ///< K
  float factor = 1;               ///< of every value, in the formats without scales of rows

  int panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  int blocks() const { return (columns + block_columns(format) - 1) / block_columns(format); }
  /// Where a panel's scales of rows are, if it has them.
  size_t row_scales_at() const { return static_cast<size_t>(blocks()) * block_bytes(format); }
  size_t panel_bytes() const {
    return row_scales_at() + (has_row_scales(format) ? kPanelRows * sizeof(float) : 0);
  }
  const uint8_t* panel(int index) const {
    return data + static_cast<size_t>(index) * panel_bytes();
  }
  /// The rows of panels [begin, end) as a matrix of their own.
  PackedMatrix part(int begin, int end) const {
    PackedMatrix rows_of = *this;
    rows_of.data = panel(begin);
    rows_of.rows = (end < panels() ? end * kPanelRows : rows) - begin * kPanelRows;
    return rows_of;
  }
};

/// The value at [row, column], for references and tests.
float packed_value(const PackedMatrix& matrix, int row, int column);

/// The values of a row, `columns` of them.
void unpack_row(const PackedMatrix& matrix, int row, float* out);

}  // namespace mokume::kernels
