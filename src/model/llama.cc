// Llama as llama.cpp stores it: the rows of q and k are permuted so that the two elements of a rope
// pair are neighbours.
#include <cmath>

#include "model/checkpoint.h"
#include "model/gguf_rope.h"
#include "model/load_spec.h"

namespace mokume {
namespace {

constexpr int kMaxLayers = 1024;
constexpr int kMaxHidden = 1 << 20;
constexpr int kMaxHeads = 4096;
constexpr int kMaxHeadDim = 512;
constexpr int kMaxContext = 1 << 26;
constexpr int64_t kMaxVocab = 1 << 24;

struct Hyperparameters {
  int layers = 0;
  int hidden = 0;
  int ffn_hidden = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int context_length = 0;
  double epsilon = 0;
};

Status check_dense(const Checkpoint& checkpoint) {
  MKM_ASSIGN_OR_RETURN(const int experts, checkpoint.integer("expert_count", 0, 1 << 16, 0));
  if (experts == 0) return absl::OkStatus();
  return checkpoint.error("a mixture of ", experts, " experts is not supported for llama");
}

Status load_heads(const Checkpoint& checkpoint, Hyperparameters& h) {
  MKM_ASSIGN_OR_RETURN(h.heads, checkpoint.integer("attention.head_count", 1, kMaxHeads));
  MKM_ASSIGN_OR_RETURN(h.kv_heads,
                       checkpoint.integer("attention.head_count_kv", 1, kMaxHeads, h.heads));
  if (h.heads % h.kv_heads != 0) {
    return checkpoint.error("attention.head_count ", h.heads,
                            " is no multiple of attention.head_count_kv ", h.kv_heads);
  }
  if (!checkpoint.has_key("attention.key_length") && h.hidden % h.heads != 0) {
    return checkpoint.error("embedding_length ", h.hidden,
                            " is no multiple of attention.head_count ", h.heads);
  }
  MKM_ASSIGN_OR_RETURN(
      h.head_dim, checkpoint.integer("attention.key_length", 2, kMaxHeadDim, h.hidden / h.heads));
  if (h.head_dim < 2 || h.head_dim > kMaxHeadDim || h.head_dim % 2 != 0) {
    return checkpoint.error("heads of ", h.head_dim, " elements; must be even and 2 to ",
                            kMaxHeadDim);
  }
  MKM_ASSIGN_OR_RETURN(const int value_length,
                       checkpoint.integer("attention.value_length", 2, kMaxHeadDim, h.head_dim));
  if (value_length == h.head_dim) return absl::OkStatus();
  return checkpoint.error("attention.value_length ", value_length, " differs from the key length ",
                          h.head_dim, ", which is not supported");
}

Result<Hyperparameters> load_hyperparameters(const Checkpoint& checkpoint) {
  Hyperparameters h;
  MKM_ASSIGN_OR_RETURN(h.layers, checkpoint.integer("block_count", 1, kMaxLayers));
  MKM_ASSIGN_OR_RETURN(h.hidden, checkpoint.integer("embedding_length", 1, kMaxHidden));
  MKM_ASSIGN_OR_RETURN(h.ffn_hidden, checkpoint.integer("feed_forward_length", 1, kMaxHidden));
  MKM_ASSIGN_OR_RETURN(h.context_length, checkpoint.integer("context_length", 1, kMaxContext));
  MKM_ASSIGN_OR_RETURN(h.epsilon, checkpoint.real("attention.layer_norm_rms_epsilon", 1e-12, 1));
  MKM_RETURN_IF_ERROR(load_heads(checkpoint, h));
  return h;
}

Result<Attention> load_attention(Checkpoint& checkpoint, const std::string& block,
                                 const Hyperparameters& h, const Rope& rope) {
  Attention attention;
  attention.heads = h.heads;
  attention.kv_heads = h.kv_heads;
  attention.head_dim = h.head_dim;
  attention.scale = 1 / std::sqrt(static_cast<float>(h.head_dim));
  attention.rope = rope;
  const int64_t q = int64_t{h.heads} * h.head_dim;
  const int64_t kv = int64_t{h.kv_heads} * h.head_dim;
  MKM_ASSIGN_OR_RETURN(attention.q, checkpoint.linear(block + "attn_q", q, h.hidden));
  MKM_ASSIGN_OR_RETURN(attention.k, checkpoint.linear(block + "attn_k", kv, h.hidden));
  MKM_ASSIGN_OR_RETURN(attention.v, checkpoint.linear(block + "attn_v", kv, h.hidden));
  MKM_ASSIGN_OR_RETURN(attention.o, checkpoint.linear(block + "attn_output", h.hidden, q));
  return attention;
}

Result<SwiGlu> load_ffn(Checkpoint& checkpoint, const std::string& block,
                        const Hyperparameters& h) {
  SwiGlu ffn;
  ffn.hidden = h.ffn_hidden;
  MKM_ASSIGN_OR_RETURN(ffn.gate, checkpoint.linear(block + "ffn_gate", h.ffn_hidden, h.hidden));
  MKM_ASSIGN_OR_RETURN(ffn.up, checkpoint.linear(block + "ffn_up", h.ffn_hidden, h.hidden));
  MKM_ASSIGN_OR_RETURN(ffn.down, checkpoint.linear(block + "ffn_down", h.hidden, h.ffn_hidden));
  return ffn;
}

Result<LayerSpec> load_layer(Checkpoint& checkpoint, int index, const Hyperparameters& h,
                             const Rope& rope) {
  const std::string block = str_cat("blk.", index, ".");
  LayerSpec layer;
  MKM_ASSIGN_OR_RETURN(layer.mixer_norm, checkpoint.norm(block + "attn_norm", h.hidden, h.epsilon));
  MKM_ASSIGN_OR_RETURN(layer.mixer, load_attention(checkpoint, block, h, rope));
  MKM_ASSIGN_OR_RETURN(layer.ffn_norm, checkpoint.norm(block + "ffn_norm", h.hidden, h.epsilon));
  MKM_ASSIGN_OR_RETURN(layer.ffn, load_ffn(checkpoint, block, h));
  return layer;
}

Status load_ends(Checkpoint& checkpoint, const Hyperparameters& h, ModelSpec& spec) {
  MKM_ASSIGN_OR_RETURN(const TensorView embedding, checkpoint.file().tensor("token_embd.weight"));
  const int64_t vocab = embedding.shape[0];
  if (vocab > kMaxVocab) {
    return checkpoint.error("tensor token_embd.weight is ", to_string(embedding), "; at most ",
                            kMaxVocab, " rows are allowed");
  }
  spec.vocab_size = static_cast<int>(vocab);
  MKM_ASSIGN_OR_RETURN(spec.embedding, checkpoint.tensor("token_embd.weight", {vocab, h.hidden}));
  MKM_ASSIGN_OR_RETURN(spec.final_norm, checkpoint.norm("output_norm", h.hidden, h.epsilon));
  spec.tied_head = !checkpoint.has_tensor("output.weight");
  if (spec.tied_head) {
    spec.head.weight = spec.embedding;
    return absl::OkStatus();
  }
  MKM_ASSIGN_OR_RETURN(spec.head, checkpoint.linear("output", vocab, h.hidden));
  return absl::OkStatus();
}

}  // namespace

Result<ModelSpec> load_llama(const GgufFile& file) {
  Checkpoint checkpoint(file, "llama");
  MKM_RETURN_IF_ERROR(check_dense(checkpoint));
  MKM_ASSIGN_OR_RETURN(const Hyperparameters h, load_hyperparameters(checkpoint));
  MKM_ASSIGN_OR_RETURN(const Rope rope,
                       load_gguf_rope(checkpoint, h.head_dim, h.context_length, true));
  ModelSpec spec;
  spec.architecture = "llama";
  spec.name = file.get_string("general.name").value_or("");
  spec.hidden_size = h.hidden;
  spec.context_length = h.context_length;
  MKM_RETURN_IF_ERROR(load_ends(checkpoint, h, spec));
  for (int i = 0; i < h.layers; ++i) {
    MKM_ASSIGN_OR_RETURN(LayerSpec layer, load_layer(checkpoint, i, h, rope));
    spec.layers.push_back(std::move(layer));
  }
  MKM_RETURN_IF_ERROR(checkpoint.check_all_used());
  return spec;
}

}  // namespace mokume
