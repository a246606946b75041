#include "quantize/family.h"

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"

namespace mokume {
namespace {

struct KnownFamily {
  std::string_view architecture;
  Family family;
};

constexpr Family kLlama = {.gguf = "llama",
                           .model_type = "llama",
                           .hf_class = "LlamaForCausalLM",
                           .in_gguf = {.rope_interleaved = true}};
constexpr Family kMistral = {.gguf = "llama",
                             .model_type = "mistral",
                             .hf_class = "MistralForCausalLM",
                             .in_gguf = {.rope_interleaved = true}};
constexpr Family kQwen2 = {
    .gguf = "qwen2", .model_type = "qwen2", .hf_class = "Qwen2ForCausalLM", .qkv_bias = true};
constexpr Family kQwen3 = {.gguf = "qwen3", .model_type = "qwen3", .hf_class = "Qwen3ForCausalLM"};
constexpr Family kQwen35 = {.gguf = "qwen35",
                            .model_type = "qwen3_5_text",
                            .hf_class = "Qwen3_5ForCausalLM",
                            .in_gguf = {.tiled_heads = true},
                            .in_hf = {.zero_centred_norms = true, .log_decay = true}};

constexpr std::array kFamilies = {
    KnownFamily{"llama", kLlama},         KnownFamily{"mistral", kMistral},
    KnownFamily{"qwen2", kQwen2},         KnownFamily{"qwen3", kQwen3},
    KnownFamily{"qwen35", kQwen35},       KnownFamily{"qwen3_5", kQwen35},
    KnownFamily{"qwen3_5_text", kQwen35},
};

struct Names {
  std::string_view hf, gguf;
};

constexpr std::string_view kHybridFfnNorm = "post_attention_norm.weight";

Names names_of(Role role) {
  switch (role) {
    case Role::kEmbedding:
      return {"model.embed_tokens", "token_embd"};
    case Role::kFinalNorm:
      return {"model.norm.weight", "output_norm.weight"};
    case Role::kHead:
      return {"lm_head", "output"};
    case Role::kRopeDivisors:
      return {"", "rope_freqs.weight"};
    case Role::kMixerNorm:
      return {"input_layernorm.weight", "attn_norm.weight"};
    case Role::kFfnNorm:
      return {"post_attention_layernorm.weight", "ffn_norm.weight"};
    case Role::kQ:
      return {"self_attn.q_proj", "attn_q"};
    case Role::kK:
      return {"self_attn.k_proj", "attn_k"};
    case Role::kV:
      return {"self_attn.v_proj", "attn_v"};
    case Role::kO:
      return {"self_attn.o_proj", "attn_output"};
    case Role::kQNorm:
      return {"self_attn.q_norm.weight", "attn_q_norm.weight"};
    case Role::kKNorm:
      return {"self_attn.k_norm.weight", "attn_k_norm.weight"};
    case Role::kDeltaQkv:
      return {"linear_attn.in_proj_qkv", "attn_qkv"};
    case Role::kDeltaZ:
      return {"linear_attn.in_proj_z", "attn_gate"};
    case Role::kDeltaA:
      return {"linear_attn.in_proj_a", "ssm_alpha"};
    case Role::kDeltaB:
      return {"linear_attn.in_proj_b", "ssm_beta"};
    case Role::kDeltaO:
      return {"linear_attn.out_proj", "ssm_out"};
    case Role::kDeltaConv:
      return {"linear_attn.conv1d.weight", "ssm_conv1d.weight"};
    case Role::kDeltaDecay:
      return {"linear_attn.A_log", "ssm_a"};
    case Role::kDeltaDtBias:
      return {"linear_attn.dt_bias", "ssm_dt.bias"};
    case Role::kDeltaNorm:
      return {"linear_attn.norm.weight", "ssm_norm.weight"};
    case Role::kGate:
      return {"mlp.gate_proj", "ffn_gate"};
    case Role::kUp:
      return {"mlp.up_proj", "ffn_up"};
    case Role::kDown:
      return {"mlp.down_proj", "ffn_down"};
  }
  return {};
}

}  // namespace

Result<Family> find_family(std::string_view architecture) {
  const auto found = std::ranges::find(kFamilies, architecture, &KnownFamily::architecture);
  if (found != kFamilies.end()) return found->family;
  std::string known;
  for (const KnownFamily& family : kFamilies) {
    known += str_cat(known.empty() ? "" : ", ", family.architecture);
  }
  return absl::UnimplementedError(str_cat("[quantize] architecture \"",
                                          absl::CHexEscape(std::string(architecture)),
                                          "\" cannot be written; supported are ", known));
}

std::string hf_name(const Part& part) {
  const std::string_view name = names_of(part.role).hf;
  return part.layer < 0 ? std::string(name) : str_cat("model.layers.", part.layer, ".", name);
}

std::string gguf_name(const Part& part, const Family& family) {
  const bool hybrid_norm = part.role == Role::kFfnNorm && family.gguf == kQwen35.gguf;
  const std::string_view name = hybrid_norm ? kHybridFfnNorm : names_of(part.role).gguf;
  return part.layer < 0 ? std::string(name) : str_cat("blk.", part.layer, ".", name);
}

}  // namespace mokume
