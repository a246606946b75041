// A linear layer's weights in the layout the kernels stream.
#pragma once

#include "base/status.h"
#include "device/cpu/product_engines.h"
#include "device/cpu/thread_pool.h"
#include "kernels/cpu/packed.h"
#include "model/model_spec.h"

namespace mokume {

struct PackedLinear {
  kernels::PackedMatrix matrix;           ///< in panels, or slice after slice if `library` is set
  const SliceProduct* library = nullptr;  ///< multiplies it; null: our kernels
  const float* bias = nullptr;            ///< in the checkpoint's mapping; null: none
  const Linear* source = nullptr;         ///< of the model that the stage holds

  /// Rows that are multiplied as one: those of a panel, or of a slice.
  int unit_rows() const { return library ? SliceProduct::kRows : kernels::kPanelRows; }
  int units() const { return (matrix.rows + unit_rows() - 1) / unit_rows(); }
  const uint8_t* slice(int index) const {
    return matrix.data + static_cast<size_t>(index) * library->slice_bytes();
  }
};

/// Bytes that packing takes, a multiple of 64.
uint64_t packed_bytes(const TensorView& weight, ProductEngines& engines);

/// Packs into `storage`, 64-byte aligned and packed_bytes() long, which outlives the result. Pages
/// of the weight and its scales are given back to `weights` as they are packed; null keeps them.
/// Errors: scales that do not cover the weight; FP8 weights that are NaN.
Result<PackedLinear> pack_linear(const Linear& linear, uint8_t* storage, ThreadPool& pool,
                                 const WeightSource* weights, ProductEngines& engines);

}  // namespace mokume
