// The tensors of a model one by one, by the role that they play.
#pragma once

#include <vector>

#include "model/model_spec.h"

namespace mokume {

enum class Role : uint8_t {
  kEmbedding,
  kFinalNorm,
  kHead,
  kRopeDivisors,  ///< in GGUF a tensor, in config.json settings
  kMixerNorm,
  kFfnNorm,
  kQ,
  kK,
  kV,
  kO,
  kQNorm,
  kKNorm,
  kDeltaQkv,
  kDeltaZ,
  kDeltaA,
  kDeltaB,
  kDeltaO,
  kDeltaConv,
  kDeltaDecay,
  kDeltaDtBias,
  kDeltaNorm,
  kGate,
  kUp,
  kDown
};

/// A matrix with its bias, or a vector (the convolution's [channels, kernel] counts as one): one of
/// `linear.weight` and `vector` is there.
struct Part {
  Role role = Role::kEmbedding;
  int layer = -1;                   ///< -1 outside the layers
  const LayerSpec* spec = nullptr;  ///< of the layer
  Linear linear;
  TensorView vector;  ///< F32

  bool is_matrix() const { return static_cast<bool>(linear.weight); }
};

/// The projections of attention, feed-forward and delta net: what formats below 16 bits are for.
bool is_projection(Role role);

/// Every tensor of the model: the embedding, the layers in order, the final norm, the head unless
/// it is tied. Borrows the spec.
std::vector<Part> parts_of(const ModelSpec& spec);

}  // namespace mokume
