// A model as data: what a device needs to run its layers, whatever family it is of.
//
// Devices implement mixers and feed-forward blocks, never architectures: a new family is one file
// here that maps a checkpoint's names to these roles.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tensor/tensor_view.h"
#include "weights/weight_source.h"

namespace mokume {

/// y = scale * W x (+ b); weight [N, K], bias F32 [N] or empty.
struct Linear {
  TensorView weight;
  TensorView bias;
  float scale = 1;  ///< of the whole tensor, finite and positive; other than 1 for NVFP4 only
};

/// y = x * rsqrt(mean(x^2) + epsilon) * w; weight F32 [K].
struct RmsNorm {
  TensorView weight;
  float epsilon = 0;
};

/// Rotary position embedding over the first `dims` elements of a head. Pair i is turned by
/// position * inverse_frequencies[i]; the two elements of a pair are neighbours (2i, 2i+1) when
/// `interleaved`, otherwise i and i + dims/2. Scalings are folded into the frequencies; both halves
/// are multiplied by `magnitude`.
struct Rope {
  int dims = 0;
  bool interleaved = false;
  float magnitude = 1;
  std::vector<float> inverse_frequencies;  ///< dims / 2
};

/// Grouped-query softmax attention, causal. Query head h reads key head h / (heads / kv_heads).
struct Attention {
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 0;  ///< of q.k before the softmax
  Rope rope;
  Linear q, k, v, o;
  std::optional<RmsNorm> q_norm, k_norm;  ///< of every head before the rope; weight [head_dim]
};

/// y = down(silu(gate(x)) * up(x)).
struct SwiGlu {
  int hidden = 0;
  Linear gate, up, down;
};

/// h += mixer(mixer_norm(h)); h += ffn(ffn_norm(h)).
struct LayerSpec {
  RmsNorm mixer_norm;
  std::variant<Attention> mixer;
  RmsNorm ffn_norm;
  std::variant<SwiGlu> ffn;
};

/// F32 copies of norms and biases that a checkpoint stores otherwise.
using ConvertedTensors = std::vector<std::shared_ptr<const std::vector<float>>>;

/// Immutable once loaded.
struct ModelSpec {
  std::string name;          ///< as the checkpoint calls itself
  std::string architecture;  ///< "llama"
  int vocab_size = 0;
  int hidden_size = 0;
  int context_length = 0;  ///< positions the model was trained for
  TensorView embedding;    ///< [vocab, hidden]
  std::vector<LayerSpec> layers;
  RmsNorm final_norm;
  Linear head;  ///< [vocab, hidden]; the embedding's own tensor when tied
  bool tied_head = false;
  ConvertedTensors converted;  ///< kept alive for the views into them
};

/// The spec together with the file its views point into.
struct Model {
  ModelSpec spec;
  std::shared_ptr<const WeightSource> weights;
};

}  // namespace mokume
