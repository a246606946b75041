#include "model/gguf_decoder.h"

#include "model/gguf_rope.h"

namespace mokume {
namespace {

constexpr DecoderNames kNames = {.embedding = "token_embd",
                                 .final_norm = "output_norm",
                                 .head = "output",
                                 .block = "blk.",
                                 .mixer_norm = "attn_norm",
                                 .q = "attn_q",
                                 .k = "attn_k",
                                 .v = "attn_v",
                                 .o = "attn_output",
                                 .q_norm = "attn_q_norm",
                                 .k_norm = "attn_k_norm",
                                 .ffn_norm = "ffn_norm",
                                 .gate = "ffn_gate",
                                 .up = "ffn_up",
                                 .down = "ffn_down"};

Status check_dense(const Checkpoint& checkpoint) {
  MKM_ASSIGN_OR_RETURN(const int experts, checkpoint.integer("expert_count", 0, 1 << 16, 0));
  if (experts == 0) return absl::OkStatus();
  return checkpoint.error("a mixture of ", experts, " experts is not supported for ",
                          checkpoint.architecture());
}

Status load_heads(const Checkpoint& checkpoint, DecoderShape& h) {
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

Result<DecoderShape> load_shape(const Checkpoint& checkpoint) {
  DecoderShape h;
  MKM_ASSIGN_OR_RETURN(h.layers, checkpoint.integer("block_count", 1, kMaxLayers));
  MKM_ASSIGN_OR_RETURN(h.hidden, checkpoint.integer("embedding_length", 1, kMaxHidden));
  MKM_ASSIGN_OR_RETURN(h.ffn_hidden, checkpoint.integer("feed_forward_length", 1, kMaxHidden));
  MKM_ASSIGN_OR_RETURN(h.context_length, checkpoint.integer("context_length", 1, kMaxContext));
  MKM_ASSIGN_OR_RETURN(h.epsilon, checkpoint.real("attention.layer_norm_rms_epsilon", 1e-12, 1));
  MKM_RETURN_IF_ERROR(load_heads(checkpoint, h));
  return h;
}

}  // namespace

Result<ModelSpec> load_gguf_decoder(const GgufFile& file, const GgufFamily& family) {
  Checkpoint checkpoint(file, family.architecture);
  MKM_RETURN_IF_ERROR(check_dense(checkpoint));
  MKM_ASSIGN_OR_RETURN(DecoderShape shape, load_shape(checkpoint));
  MKM_ASSIGN_OR_RETURN(shape.rope, load_gguf_rope(checkpoint, shape.head_dim, shape.context_length,
                                                  family.rope_interleaved));
  shape.qk_norm = family.qk_norm;
  shape.qkv_bias = family.qkv_bias;
  DecoderNames names = kNames;
  if (family.refine) MKM_RETURN_IF_ERROR(family.refine(checkpoint, shape, names));
  MKM_ASSIGN_OR_RETURN(ModelSpec spec, load_decoder(checkpoint, shape, names));
  spec.name = file.get_string("general.name").value_or("");
  return spec;
}

}  // namespace mokume
