#include "model/hf_spec.h"

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"
#include "model/decoder.h"
#include "model/hf_config.h"
#include "model/hf_rope.h"
#include "model/qwen3_5.h"
#include "model/scaled_linear.h"

namespace mokume {
namespace {

/// What sets a model_type apart, and what its configuration class assumes where config.json is
/// silent (transformers' configuration_*.py).
struct HfFamily {
  std::string_view model_type;
  std::string_view architecture = {};  ///< ModelSpec's; empty: the model_type
  std::string_view text_group = {};    ///< the object that holds the language model's settings;
                                       ///< empty: they are at the top
  bool qk_norm = false;
  bool always_qkv_bias = false;          ///< whatever attention_bias says
  bool has_attention_bias = false;       ///< knows the key attention_bias
  bool kv_heads_are_heads = false;       ///< without num_key_value_heads
  bool slides_without_asking = false;    ///< sliding_window needs no use_sliding_window
  int head_dim = 0;                      ///< 0: hidden_size / num_attention_heads
  std::optional<double> rope_part = {};  ///< of a head; empty: all, whatever config.json says
  bool mixes_layers = false;             ///< `refine` reads layer_types
  /// Changes what all families have in common to what this one has; null for nothing.
  Status (*refine)(const HfConfig&, TensorReader&, DecoderShape&, DecoderNames&) = nullptr;
};

constexpr HfFamily qwen3_5(std::string_view model_type, std::string_view text_group) {
  return {.model_type = model_type,
          .architecture = "qwen3_5",
          .text_group = text_group,
          .qk_norm = true,
          .has_attention_bias = true,
          .head_dim = 256,
          .rope_part = 0.25,
          .mixes_layers = true,
          .refine = refine_hf_qwen3_5};
}

constexpr std::array kFamilies = {
    HfFamily{.model_type = "llama", .has_attention_bias = true, .kv_heads_are_heads = true},
    HfFamily{.model_type = "mistral", .slides_without_asking = true},
    HfFamily{.model_type = "qwen2", .always_qkv_bias = true},
    HfFamily{.model_type = "qwen3", .qk_norm = true, .has_attention_bias = true, .head_dim = 128},
    qwen3_5("qwen3_5", "text_config"),
    qwen3_5("qwen3_5_text", ""),
};

constexpr int kMistralWindow = 4096;  // where config.json says nothing, not even null

constexpr DecoderNames kNames = {.embedding = "model.embed_tokens",
                                 .final_norm = "model.norm",
                                 .head = "lm_head",
                                 .block = "model.layers.",
                                 .mixer_norm = "input_layernorm",
                                 .q = "self_attn.q_proj",
                                 .k = "self_attn.k_proj",
                                 .v = "self_attn.v_proj",
                                 .o = "self_attn.o_proj",
                                 .q_norm = "self_attn.q_norm",
                                 .k_norm = "self_attn.k_norm",
                                 .ffn_norm = "post_attention_layernorm",
                                 .gate = "mlp.gate_proj",
                                 .up = "mlp.up_proj",
                                 .down = "mlp.down_proj"};

Result<HfFamily> find_family(const HfConfig& config) {
  MKM_ASSIGN_OR_RETURN(const std::string type, config.json().get_string("model_type"));
  const auto found = std::ranges::find(kFamilies, type, &HfFamily::model_type);
  if (found != kFamilies.end()) return *found;
  std::string known;
  for (const HfFamily& family : kFamilies) {
    known += str_cat(known.empty() ? "" : ", ", family.model_type);
  }
  return config.error("model_type \"", absl::CHexEscape(type),
                      "\" is not supported; supported are ", known);
}

/// What would compute another model if it were overlooked.
Status check_unsupported(const HfConfig& text) {
  MKM_ASSIGN_OR_RETURN(const std::string act, text.text("hidden_act", "silu"));
  if (act != "silu") {
    return text.error("hidden_act is \"", absl::CHexEscape(act), "\"; only silu is supported");
  }
  return absl::OkStatus();
}

/// The window that a token attends to in some layer; 0 for none.
Result<int> sliding_window(const HfConfig& config, const HfFamily& family, int layers) {
  constexpr int kMaxWindow = 1 << 30;
  if (family.slides_without_asking) {
    if (config.json().is_null("sliding_window")) return 0;
    return config.integer("sliding_window", 0, kMaxWindow, kMistralWindow);
  }
  MKM_ASSIGN_OR_RETURN(const bool slides, config.flag("use_sliding_window", false));
  MKM_ASSIGN_OR_RETURN(const int full_layers,
                       config.integer("max_window_layers", 0, kMaxWindow, 28));
  if (!slides || full_layers >= layers) return 0;
  return config.integer("sliding_window", 0, kMaxWindow, kMistralWindow);
}

Status check_window(const HfConfig& config, const HfFamily& family, const DecoderShape& shape) {
  if (config.has("layer_types")) {
    MKM_ASSIGN_OR_RETURN(const std::vector<std::string> names, config.texts("layer_types"));
    for (const std::string& name : names) {
      if (name == "full_attention") continue;
      return config.error("layer_types has \"", absl::CHexEscape(name),
                          "\"; only full_attention is supported");
    }
    return absl::OkStatus();
  }
  MKM_ASSIGN_OR_RETURN(const int window, sliding_window(config, family, shape.layers));
  if (window == 0 || window >= shape.context_length) return absl::OkStatus();
  return config.error("sliding_window is ", window,
                      "; only attention to all of the context is supported");
}

Status load_heads(const HfConfig& config, const HfFamily& family, DecoderShape& shape) {
  MKM_ASSIGN_OR_RETURN(shape.heads, config.integer("num_attention_heads", 1, kMaxHeads));
  const std::optional<int> all =
      family.kv_heads_are_heads ? std::optional(shape.heads) : std::nullopt;
  MKM_ASSIGN_OR_RETURN(shape.kv_heads, config.integer("num_key_value_heads", 1, kMaxHeads, all));
  if (shape.heads % shape.kv_heads != 0) {
    return config.error("num_attention_heads ", shape.heads,
                        " is no multiple of num_key_value_heads ", shape.kv_heads);
  }
  const bool split = family.head_dim == 0 && !config.has("head_dim");
  if (split && shape.hidden % shape.heads != 0) {
    return config.error("hidden_size ", shape.hidden, " is no multiple of num_attention_heads ",
                        shape.heads);
  }
  const int usual = family.head_dim != 0 ? family.head_dim : shape.hidden / shape.heads;
  MKM_ASSIGN_OR_RETURN(shape.head_dim, config.integer("head_dim", 2, kMaxHeadDim, usual));
  if (shape.head_dim >= 2 && shape.head_dim <= kMaxHeadDim && shape.head_dim % 2 == 0) {
    return absl::OkStatus();
  }
  return config.error("heads of ", shape.head_dim, " elements; must be even and 2 to ",
                      kMaxHeadDim);
}

Status load_biases(const HfConfig& config, const HfFamily& family, DecoderShape& shape) {
  MKM_ASSIGN_OR_RETURN(const bool attention, config.flag("attention_bias", false));
  MKM_ASSIGN_OR_RETURN(const bool ffn, config.flag("mlp_bias", false));
  shape.o_bias = family.has_attention_bias && attention;
  shape.qkv_bias = family.always_qkv_bias || *shape.o_bias;
  shape.ffn_bias = family.model_type == "llama" && ffn;
  return absl::OkStatus();
}

Result<DecoderShape> load_shape(const HfConfig& config, const HfFamily& family) {
  DecoderShape shape;
  MKM_ASSIGN_OR_RETURN(shape.layers, config.integer("num_hidden_layers", 1, kMaxLayers));
  MKM_ASSIGN_OR_RETURN(shape.hidden, config.integer("hidden_size", 1, kMaxHidden));
  MKM_ASSIGN_OR_RETURN(shape.ffn_hidden, config.integer("intermediate_size", 1, kMaxHidden));
  MKM_ASSIGN_OR_RETURN(shape.context_length,
                       config.integer("max_position_embeddings", 1, kMaxContext));
  MKM_ASSIGN_OR_RETURN(shape.epsilon, config.real("rms_norm_eps", 1e-12, 1, 1e-6));
  MKM_RETURN_IF_ERROR(load_heads(config, family, shape));
  MKM_RETURN_IF_ERROR(load_biases(config, family, shape));
  if (!family.mixes_layers) MKM_RETURN_IF_ERROR(check_window(config, family, shape));
  shape.qk_norm = family.qk_norm;
  MKM_ASSIGN_OR_RETURN(
      shape.rope, load_hf_rope(config, shape.head_dim, shape.context_length, family.rope_part));
  return shape;
}

/// Empty, so that the tensors decide, where nothing is said or the language model's settings say
/// otherwise than the file's.
Result<std::optional<bool>> tied_head(const HfConfig& config, const HfConfig& text) {
  constexpr std::string_view kKey = "tie_word_embeddings";
  MKM_ASSIGN_OR_RETURN(const bool inner, text.flag(kKey, false));
  MKM_ASSIGN_OR_RETURN(const bool outer, config.flag(kKey, inner));
  const bool said = text.has(kKey) || config.has(kKey);
  if (!said || (text.has(kKey) && inner != outer)) return std::optional<bool>();
  return std::optional(outer);
}

/// The settings that describe the language model.
Result<JsonConfig> text_settings(const HfConfig& config, const HfFamily& family) {
  if (family.text_group.empty()) return config.json();
  if (config.has(family.text_group)) return config.json().group(family.text_group);
  return config.error("no key ", family.text_group, ", which a ", family.model_type, " has");
}

}  // namespace

Result<ModelSpec> load_hf_spec(const JsonConfig& json, const WeightSource& weights,
                               const JsonConfig* modelopt) {
  const HfConfig config(json);
  MKM_ASSIGN_OR_RETURN(const HfFamily family, find_family(config));
  MKM_ASSIGN_OR_RETURN(const JsonConfig text_json, text_settings(config, family));
  const HfConfig text(text_json);
  MKM_RETURN_IF_ERROR(check_unsupported(text));
  MKM_ASSIGN_OR_RETURN(DecoderShape shape, load_shape(text, family));
  MKM_ASSIGN_OR_RETURN(shape.tied_head, tied_head(config, text));
  MKM_ASSIGN_OR_RETURN(const HfQuantization quantization, parse_hf_quantization(json, modelopt));
  TensorReader reader(
      weights, std::string(family.architecture.empty() ? family.model_type : family.architecture),
      &quantization);
  ignore_kv_scales(quantization, weights, reader);
  DecoderNames names = kNames;
  if (family.refine) MKM_RETURN_IF_ERROR(family.refine(text, reader, shape, names));
  for (int i = 0; i < shape.layers; ++i) {
    // Old files hold what follows from rope_theta.
    reader.ignore(str_cat(names.block, i, ".self_attn.rotary_emb.inv_freq"));
  }
  MKM_ASSIGN_OR_RETURN(ModelSpec spec, load_decoder(reader, shape, names));
  MKM_ASSIGN_OR_RETURN(const int vocab, text.integer("vocab_size", 1, kMaxVocab));
  if (vocab == spec.vocab_size) return spec;
  return text.error("vocab_size is ", vocab, "; ", names.embedding, ".weight has ", spec.vocab_size,
                    " rows");
}

}  // namespace mokume
