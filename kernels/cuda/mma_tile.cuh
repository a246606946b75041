// What the products on tensor cores keep in shared memory of a tile: the input (half_tile.cuh,
// fp4_tile.cuh), and what the rows' groups are scaled by.
#pragma once

#include "kernels/cuda/formats.cuh"

namespace mokume::cuda::MKM_TARGET {

inline constexpr int kMmaThreads = 256;
inline constexpr int kRowTiles = 2;                             ///< of 16 rows, of a block
inline constexpr int kParts = kMmaThreads / kWarp / kRowTiles;  ///< warps that share a tile of rows
inline constexpr int kMmaRows = 16 * kRowTiles;                 ///< of a block
inline constexpr int kStripes = 2;                              ///< of a warp, in a tile
inline constexpr int kSegment = 128;                            ///< columns
inline constexpr int kGroupPitch = 36;  ///< of a row's groups: rows of a warp in different banks

/// Columns of a row that a block works on at a time.
constexpr int tile_columns(Format format) { return kParts * kStripes * 64 * 8 / bits(format); }

/// Scales (or minimums) of the block's rows in a tile: 16 bits for 32 columns.
template <int kTileColumns>
struct RowGroups {
  static constexpr int kGroups = kTileColumns / 32;
  static constexpr int kPasses = kMmaRows * kGroups / kMmaThreads;
  static constexpr int kElements = kMmaRows * kGroupPitch;

  Ptr<const uint16_t*> rows;  ///< [kMmaRows], in shared memory; null: there is no such row
  Ptr<uint16_t> values;       ///< [kElements], likewise
  uint16_t held[kPasses];

  MKM_DEVICE static int row_of(int pass) {
    return (pass * kMmaThreads + static_cast<int>(thread_x())) / kGroups;
  }
  MKM_DEVICE void fetch(int begin, int columns) {
    const int group = begin / 32 + static_cast<int>(thread_x()) % kGroups;
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const uint16_t* const row = rows[row_of(i)];
      held[i] = 0;
      if (row && group < columns / 32) held[i] = load<uint16_t>(global(row) + group);
    }
  }
  MKM_DEVICE void put() const {
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      values[row_of(i) * kGroupPitch + static_cast<int>(thread_x()) % kGroups] = held[i];
    }
  }
};

/// 2^n for a segment's largest magnitude to be brought below 2^(kTop + 1), and 2^-n.
template <int kTop>
struct SegmentScale {
  float scale, inverse;
  /// Reached by whole warps, whose lanes have a segment.
  MKM_DEVICE explicit SegmentScale(Float4 v) {
    const float most = fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
    uint32_t exponent = warp_max_bits(float_to_bits(most)) >> 23;
    exponent = exponent < 15 ? 15 : exponent;  // what is smaller becomes 0
    scale = bits_to_float((254 + kTop - exponent) << 23);
    inverse = bits_to_float((exponent - kTop) << 23);
  }
};

}  // namespace mokume::cuda::MKM_TARGET
