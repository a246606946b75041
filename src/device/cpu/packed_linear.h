// A linear layer's weights in the layout the kernels stream.
#pragma once

#include "base/status.h"
#include "device/cpu/memory.h"
#include "device/cpu/thread_pool.h"
#include "kernels/cpu/packed.h"
#include "model/model_spec.h"

namespace mokume {

struct PackedLinear {
  kernels::PackedMatrix matrix;
  const float* bias = nullptr;  ///< in the checkpoint's mapping; null: none
  Buffer storage;
};

/// Bytes that packing takes; 0 for a type the kernels do not know.
uint64_t packed_bytes(const TensorView& weight);

Result<PackedLinear> pack_linear(const Linear& linear, ThreadPool& pool);

}  // namespace mokume
