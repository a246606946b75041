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

/// y = W x (+ b); weight [N, K], bias F32 [N] or empty. What W's elements are multiplied by depends
/// on the weight's type:
///   I8, I8+128, F8_E4M3
///          `scales` F32 [N], one a row
///   E2M1   `scales` F8_E4M3 [N, K/16], one a group of 16 columns, each times scale / divisor
///   NVFP4  the scales inside its blocks, each times scale / divisor
///   others nothing; `scales` is empty
/// Scales are finite and above 0; one of `scale` and `divisor` is 1, so that a group's factor is
/// rounded once, as its format says.
struct Linear {
  TensorView weight;
  TensorView scales;
  TensorView bias;
  float scale = 1;    ///< of the whole tensor (GGUF's ".scale", ModelOpt's weight_scale_2)
  float divisor = 1;  ///< of the whole tensor (compressed-tensors' weight_global_scale)
};

/// y = x * rsqrt(mean(x^2) + epsilon) * w; weight F32 [K].
struct RmsNorm {
  TensorView weight;
  float epsilon = 0;
};

/// How a rope's frequencies were stretched to reach a longer context.
struct RopeScaling {
  enum class Type { kNone, kLinear, kYarn };
  Type type = Type::kNone;
  double factor = 1;            ///< how many times longer the context became
  double original_context = 0;  ///< positions before the scaling; for kYarn
  double beta_fast = 32;     ///< kYarn: pairs that turn more often than this over it are left alone
  double beta_slow = 1;      ///< kYarn: pairs that turn less often than this are scaled in full
  double extrapolation = 1;  ///< kYarn: 0 scales every pair in full
  double attention_factor = 1;  ///< multiplies the magnitude
};

/// Rotary position embedding over the first `dims` elements of a head. Pair i is turned by
/// position * inverse_frequencies[i]; the two elements of a pair are neighbours (2i, 2i+1) when
/// `interleaved`, otherwise i and i + dims/2. Scalings are folded into the frequencies; both halves
/// are multiplied by `magnitude`. What a rope computes is in these four; `base`, `scaling` and
/// `divisors` say where the frequencies come from, for writing them into another checkpoint.
struct Rope {
  int dims = 0;
  bool interleaved = false;
  float magnitude = 1;
  std::vector<float> inverse_frequencies;  ///< dims / 2
  double base = 0;
  RopeScaling scaling;
  std::vector<float> divisors;  ///< dims / 2, or empty
};

/// Grouped-query softmax attention, causal. Query head h reads key head h / (heads / kv_heads).
struct Attention {
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 0;  ///< of q.k before the softmax
  Rope rope;
  bool output_gate = false;  ///< q gives [query | gate] for every head, 2 * head_dim rows each;
                             ///< o reads attention * sigmoid(gate)
  Linear q, k, v, o;
  std::optional<RmsNorm> q_norm, k_norm;  ///< of every head before the rope; weight [head_dim]
};

/// The gated delta rule (Yang et al., Gated Delta Networks, arXiv:2412.06464), as Qwen3.5 has it.
///   c = silu(conv(qkv x)), a depthwise causal convolution; c = [query | key | value]
///   query, key: scaled to length 1 in every head (epsilon 1e-6 in the sum of squares), query also
///   by key_dim^-1/2
///   beta = sigmoid(b x); decay = exp(decay_rate * softplus(a x + dt_bias)), one a value head
///   S = decay * S; S += key (beta * (value - S^T key))^T; out = S^T query
///   y = o(norm(out) * silu(z x)), the norm over each value head
/// A sequence's state in a layer is S, [value_heads][key_dim][value_dim], and the last conv_kernel
/// - 1 rows of qkv x.
struct DeltaNet {
  int key_heads = 0;
  int value_heads = 0;  ///< a multiple of key_heads
  int key_dim = 0;      ///< of a head
  int value_dim = 0;
  int conv_kernel = 0;
  bool tiled_heads = false;  ///< value head h reads key head h % key_heads (GGUF), otherwise
                             ///< h / (value_heads / key_heads)
  Linear qkv;                ///< [channels(), hidden]
  Linear z;                  ///< [value_width(), hidden]
  Linear a, b;               ///< [value_heads, hidden]
  Linear o;                  ///< [hidden, value_width()]
  TensorView conv;           ///< F32 [channels(), conv_kernel], the newest input last
  TensorView decay_rate;     ///< F32 [value_heads]: -exp(A_log)
  TensorView dt_bias;        ///< F32 [value_heads]
  RmsNorm norm;              ///< [value_dim]

  int key_width() const { return key_heads * key_dim; }
  int value_width() const { return value_heads * value_dim; }
  int channels() const { return 2 * key_width() + value_width(); }
};

/// y = down(silu(gate(x)) * up(x)).
struct SwiGlu {
  int hidden = 0;
  Linear gate, up, down;
};

/// h += mixer(mixer_norm(h)); h += ffn(ffn_norm(h)).
struct LayerSpec {
  RmsNorm mixer_norm;
  std::variant<Attention, DeltaNet> mixer;
  RmsNorm ffn_norm;
  std::variant<SwiGlu> ffn;
};

/// F32 copies of norms and biases that a checkpoint stores otherwise.
using ConvertedTensors = std::vector<std::shared_ptr<const std::vector<float>>>;

/// Immutable once loaded.
struct ModelSpec {
  std::string name;          ///< as the checkpoint calls itself
  std::string architecture;  ///< "llama", "qwen3_5"
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
