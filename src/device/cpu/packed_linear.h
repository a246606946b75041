// A linear layer's weights in the layout the kernels stream.
#pragma once

#include "base/status.h"
#include "device/cpu/thread_pool.h"
#include "kernels/cpu/packed.h"
#include "model/model_spec.h"

namespace mokume {

struct PackedLinear {
  kernels::PackedMatrix matrix;
  const float* bias = nullptr;  ///< in the checkpoint's mapping; null: none
};

/// Bytes that packing takes, a multiple of 64; 0 for a type the kernels do not know.
uint64_t packed_bytes(const TensorView& weight);

/// Packs into `storage`, 64-byte aligned and packed_bytes() long, which outlives the result.
Result<PackedLinear> pack_linear(const Linear& linear, uint8_t* storage, ThreadPool& pool);

}  // namespace mokume
