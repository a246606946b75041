// The decoder that most families are: pre-norm blocks of a mixer (softmax attention, in some layers
// of a hybrid the gated delta rule) and SwiGLU. A family's loader says its sizes and what its
// tensors are called.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

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
constexpr int kMinConvKernel = 2;
constexpr int kMaxConvKernel = 32;

// No stage_state_bytes() overflows within them: what overflows is no constant.
static_assert(int64_t{kMaxLayers} * kMaxHeads * kMaxHeadDim * (kMaxHeadDim + 3 * kMaxConvKernel) *
                  int64_t{sizeof(float)} >
              0);

/// Within the bounds above (heads of at most kMaxHeadDim too); value_heads is a multiple of
/// key_heads. The fields are DeltaNet's.
struct DeltaNetShape {
  int key_heads = 0;
  int value_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  int conv_kernel = 0;
  bool tiled_heads = false;
};

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
  bool output_gate = false;
  bool zero_centred_norms = false;  ///< stored less 1: all but those of DeltaNets
  std::vector<bool> recurrent;      ///< a layer: its mixer is a DeltaNet; empty for none
  DeltaNetShape delta_net;          ///< where some are
  /// Whether linear layers have biases; empty where the tensors themselves say it.
  std::optional<bool> qkv_bias, o_bias, ffn_bias;
  std::optional<bool> tied_head;  ///< empty: tied when there is no tensor for it
};

/// Names as in DecoderNames, but the last three are whole.
struct DeltaNetNames {
  std::string_view qkv, z, a, b, o, norm;
  std::string_view conv, dt_bias;
  std::string_view decay_rate;         ///< -exp(A_log), or
  std::string_view log_of_decay_rate;  ///< A_log; the other is empty
  bool conv_has_inner_dim = false;     ///< [channels, 1, kernel] instead of [channels, kernel]
};

/// Names without ".weight" and ".bias"; those of a layer follow "<block><index>.".
struct DecoderNames {
  std::string_view embedding, final_norm, head, block;
  std::string_view mixer_norm, q, k, v, o, q_norm, k_norm;
  std::string_view ffn_norm, gate, up, down;
  DeltaNetNames delta_net = {};
};

/// The spec but for its name; InvalidArgument or NotFound names the tensor that is wrong, missing
/// or too many, and the file.
Result<ModelSpec> load_decoder(TensorReader& reader, const DecoderShape& shape,
                               const DecoderNames& names);

}  // namespace mokume
