// From the layouts of checkpoints to packed panels.
#pragma once

#include "kernels/cpu/packed.h"

namespace mokume::kernels {

/// Element types of checkpoints; ggml's blocks, and those whose scales are a matrix of their own.
enum class SourceType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kMXFP4,
  kNVFP4,
  kI8,
  kF8,
  kE2M1,
  kI8Plus128,  ///< bytes of the integer plus 128
  kF16Rounded  ///< F16 that is to be packed as integers of 14 bits; none of it Inf or NaN
};

/// A matrix [N, K] as a checkpoint has it: rows of whole blocks.
struct SourceMatrix {
  SourceType type = SourceType::kF32;
  const uint8_t* rows = nullptr;
  size_t row_bytes = 0;
  const uint8_t* scales = nullptr;  ///< I8, I8Plus128, F8: f32 [N]; E2M1: E4M3 above 0, [N][K/16]
};

/// What a matrix of `type` is packed into: a format that holds its values without loss; of
/// kF16Rounded, those of at least 1/4 of their group's largest, and others within 2^-13 of that.
Format packed_format(SourceType type);

/// Columns and bytes of a block in the file's layout (ggml-common.h). Rows are whole blocks.
int source_block_columns(SourceType type);
size_t source_block_bytes(SourceType type);

/// Writes panel `index` of `shape`, whose format is packed_format(source.type), to `panel`, which
/// holds panel_bytes().
void pack_panel(const PackedMatrix& shape, int index, const SourceMatrix& source, uint8_t* panel);

}  // namespace mokume::kernels
