// The decoder that most families are: pre-norm blocks of softmax attention and SwiGLU. A family's
// loader says its sizes and what its tensors are called.
#pragma once

#include <optional>
#include <string_view>

#include "model/model_spec.h"
#include "model/tensor_reader.h"

namespace mokume {

/// Bounds of what a checkpoint may claim.
constexpr int kMaxLayers = 1024;
constexpr int kMaxHidden = 1 << 20;
constexpr int kMaxHeads = 4096;
constexpr int kMaxHeadDim = 512;
constexpr int kMaxContext = 1 << 26;
constexpr int kMaxVocab = 1 << 24;

/// Within the bounds above; heads is a multiple of kv_heads, head_dim is even.
struct DecoderShape {
  int layers = 0;
  int hidden = 0;
  int ffn_hidden = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int context_length = 0;
  double epsilon = 0;
  Rope rope;
  bool qk_norm = false;  ///< every head of q and k has a norm
  /// Whether linear layers have biases; empty where the tensors themselves say it.
  std::optional<bool> qkv_bias, o_bias, ffn_bias;
  std::optional<bool> tied_head;  ///< empty: tied when there is no tensor for it
};

/// Names without ".weight" and ".bias"; those of a layer follow "<block><index>.".
struct DecoderNames {
  std::string_view embedding, final_norm, head, block;
  std::string_view mixer_norm, q, k, v, o, q_norm, k_norm;
  std::string_view ffn_norm, gate, up, down;
};

/// The spec but for its name; InvalidArgument or NotFound names the tensor that is wrong, missing
/// or too many, and the file.
Result<ModelSpec> load_decoder(TensorReader& reader, const DecoderShape& shape,
                               const DecoderNames& names);

}  // namespace mokume
