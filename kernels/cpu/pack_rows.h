// Packing of one row, type by type; for pack.cc.
#pragma once

#include <cstring>

#include "kernels/cpu/pack.h"

namespace mokume::kernels {

/// What packed.h says of a quantized format's blocks, worked out once for a panel.
struct BlockShape {
  explicit BlockShape(Format format)
      : bytes(block_bytes(format)),
        quants_bytes(group_quants_bytes(format)),
        scale_bytes(kernels::scale_bytes(format)),
        scales(scales_at(format)),
        minimums(minimums_at(format)),
        factors(factors_at(format)),
        groups(block_groups(format)) {}

  size_t bytes, quants_bytes, scale_bytes;  ///< of a block, of a group, of one scale
  size_t scales, minimums, factors;         ///< where they are
  int groups;
};

/// A row in its file's layout and where it goes.
struct RowToPack {
  const PackedMatrix& shape;
  const BlockShape* block;  ///< null in the float formats
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
  const BlockShape& shape = *row.block;
  const int group = index % shape.groups;
  uint8_t* block = row.panel + static_cast<size_t>(index / shape.groups) * shape.bytes;
  const size_t scale = (static_cast<size_t>(group) * kPanelRows + row.lane) * shape.scale_bytes;
  return {block + group * shape.quants_bytes + row.lane * 4, block + shape.scales + scale,
          block + shape.minimums + scale, block + shape.factors + row.lane * 2};
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
