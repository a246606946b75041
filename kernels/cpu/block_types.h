// ggml's block types that are multiplied in one of the Int8 formats of packed.h.
#pragma once

#include "kernels/cpu/packed.h"

namespace mokume::kernels {

enum class BlockType : uint8_t { kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K, kIQ4_NL, kMXFP4, kNVFP4 };

/// What a matrix of `type` is packed into.
Format packed_format(BlockType type);

/// Columns and bytes of a block in the file's layout (ggml-common.h). Rows are whole blocks.
int source_block_columns(BlockType type);
size_t source_block_bytes(BlockType type);

/// As pack_panel, for a `shape` of packed_format(type). Every value is multiplied by
/// `tensor_scale`; with 1 nothing is rounded.
void pack_block_panel(const PackedMatrix& shape, int index, BlockType type, const uint8_t* source,
                      size_t row_bytes, float tensor_scale, uint8_t* panel);

}  // namespace mokume::kernels
