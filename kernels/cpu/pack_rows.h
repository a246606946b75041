// Packing of one row, type by type; for pack.cc.
#pragma once

#include <cstring>

#include "kernels/cpu/pack.h"

namespace mokume::kernels {

/// A row in its file's layout and where it goes.
struct RowToPack {
  const PackedMatrix& shape;
  const uint8_t* source;
  const uint8_t* scales;  ///< of this row
  uint8_t* panel;
  int lane;  ///< row of the panel
};

/// One row's part of a group.
struct GroupTarget {
  uint8_t* quants;  ///< 4 bytes a vector, 64 bytes apart
  uint8_t* scale;
  uint8_t* minimum;
  uint8_t* factors;  ///< of the block's scales; that of its minimums is kFactorBytes on
};

/// Group `index` of the row.
inline GroupTarget target_of(const RowToPack& row, int index) {
  const Format format = row.shape.format;
  const int group = index % block_groups(format);
  uint8_t* block =
      row.panel + static_cast<size_t>(index / block_groups(format)) * block_bytes(format);
  const size_t scale = (static_cast<size_t>(group) * kPanelRows + row.lane) * scale_bytes(format);
  return {block + group * group_quants_bytes(format) + row.lane * 4,
          block + scales_at(format) + scale, block + minimums_at(format) + scale,
          block + factors_at(format) + row.lane * 2};
}

inline uint32_t load_u32(const uint8_t* from) {
  uint32_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}

/// Quad `v` of a group.
inline void store_quad(const GroupTarget& target, int v, uint32_t bytes) {
  std::memcpy(target.quants + static_cast<size_t>(v) * 64, &bytes, sizeof(bytes));
}

/// Q5_0, Q5_1, Q4_K, Q5_K, Q6_K (pack_blocks.cc).
void pack_block_row(SourceType type, const RowToPack& row);

}  // namespace mokume::kernels
