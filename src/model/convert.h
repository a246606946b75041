// Linear layers in another weight format than the checkpoint's.
#pragma once

#include <functional>
#include <vector>

#include "base/status.h"
#include "model/model_spec.h"
#include "tensor/weight_format.h"

namespace mokume {

/// What `linear` of `layer` becomes where the layers are converted to `format`: kKeep for a
/// DeltaNet's a and b, for a weight of that format already, and for NVFP4 where a row is no whole
/// number of groups of 16.
WeightFormat layer_format(const LayerSpec& layer, const Linear& linear, WeightFormat format);

/// What the head becomes where the stage that holds it is converted to `format`: INT8 for INT8
/// where it has 16 bits or more, as the largest matrix that a token reads; kKeep otherwise, for it
/// is sensitive to fewer bits.
WeightFormat head_format(const Linear& head, WeightFormat format);

/// Type, shape and bytes of the weight in `format`, which one of these gave; no data unless it is
/// kKeep.
TensorView converted_weight(const Linear& linear, WeightFormat format);

/// Bytes of the converted weight and its scales, or of those in the checkpoint when it is kKeep.
uint64_t converted_bytes(const Linear& linear, WeightFormat format);

/// A linear layer in memory of its own; its bias is the checkpoint's.
struct ConvertedLinear {
  std::vector<std::byte> weight, scales;
  Linear linear;
};

/// Calls its second argument for ranges that together are [0, rows), on several threads or not.
using RunRows = std::function<void(int rows, const std::function<void(int first, int last)>&)>;

/// `format` is one that layer_format() or head_format() gave, and neither kKeep nor kQ8_0.
/// InvalidArgument names a tensor with values that are not finite or too large for the format.
Result<ConvertedLinear> convert_linear(const Linear& linear, WeightFormat format,
                                       const RunRows& run);

}  // namespace mokume
