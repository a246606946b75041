// What a layer weighs, whatever it is made of.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_spec.h"

namespace mokume {

/// Every tensor of the layer that is there, norms and biases included.
std::vector<TensorView> layer_tensors(const LayerSpec& layer);

/// Its linear layers: the mixer's, then the feed-forward block's.
std::vector<const Linear*> layer_linears(const LayerSpec& layer);

/// Bytes of layer_tensors() as stored.
uint64_t layer_weight_bytes(const LayerSpec& layer);

/// Numbers that the layer keeps per token of a sequence (keys and values).
int64_t layer_kv_elements(const LayerSpec& layer);

}  // namespace mokume
