#include "quantize/gguf_keys.h"

#include <array>

namespace mokume {
namespace {

using Keys = std::vector<GgufKeyValue>;

/// llama.cpp's LLAMA_FTYPE_MOSTLY_*.
uint32_t file_type(WeightFormat format) {
  switch (format) {
    case WeightFormat::kBF16:
      return 32;
    case WeightFormat::kQ8_0:
      return 7;
    case WeightFormat::kNvfp4:
      return 39;
    default:
      return 1;
  }
}

/// Positions of a pair in time, height and width; for text they are the same, so that any split
/// computes the same. These are the released models'.
const std::vector<int32_t> kSections = {11, 11, 10, 0};

class KeyWriter {
 public:
  KeyWriter(const ModelSpec& spec, const Family& family, const ModelFacts& facts)
      : spec_(spec), family_(family), facts_(facts) {}

  Result<Keys> write(WeightFormat format) {
    keys_.push_back({"general.architecture", std::string(family_.gguf)});
    keys_.push_back({"general.type", std::string("model")});
    if (!spec_.name.empty()) keys_.push_back({"general.name", spec_.name});
    keys_.push_back({"general.file_type", file_type(format)});
    keys_.push_back({"general.quantization_version", uint32_t{2}});
    add_shape();
    MKM_RETURN_IF_ERROR(add_rope());
    if (facts_.delta != nullptr) add_delta_net();
    return std::move(keys_);
  }

 private:
  template <typename T>
  void add(std::string_view name, T value) {
    keys_.push_back({str_cat(family_.gguf, ".", name), std::move(value)});
  }
  void count(std::string_view name, int64_t value) { add(name, static_cast<uint32_t>(value)); }
  void real(std::string_view name, double value) { add(name, static_cast<float>(value)); }

  void add_shape() {
    const Attention& attention = *facts_.attention;
    count("vocab_size", spec_.vocab_size);
    count("block_count", static_cast<int64_t>(spec_.layers.size()));
    count("context_length", spec_.context_length);
    count("embedding_length", spec_.hidden_size);
    count("feed_forward_length", facts_.ffn_hidden);
    count("attention.head_count", attention.heads);
    count("attention.head_count_kv", attention.kv_heads);
    count("attention.key_length", attention.head_dim);
    count("attention.value_length", attention.head_dim);
    real("attention.layer_norm_rms_epsilon", facts_.epsilon);
  }

  Status add_rope() {
    const Rope& rope = facts_.attention->rope;
    count("rope.dimension_count", rope.dims);
    real("rope.freq_base", rope.base);
    if (!rope.divisors.empty() && family_.gguf != "llama") {
      return absl::UnimplementedError(str_cat("[quantize] divisors of the rope have no place in ",
                                              family_.gguf, " GGUF files"));
    }
    add_scaling(rope.scaling);
    return absl::OkStatus();
  }

  void add_scaling(const RopeScaling& scaling) {
    using Type = RopeScaling::Type;
    if (scaling.attention_factor != 1) {
      real("rope.scaling.attn_factor", scaling.attention_factor);
    }
    if (scaling.type == Type::kNone || scaling.factor == 1) return;
    const bool yarn = scaling.type == Type::kYarn;
    add("rope.scaling.type", std::string(yarn ? "yarn" : "linear"));
    real("rope.scaling.factor", scaling.factor);
    if (!yarn) return;
    count("rope.scaling.original_context_length", static_cast<int64_t>(scaling.original_context));
    real("rope.scaling.yarn_beta_fast", scaling.beta_fast);
    real("rope.scaling.yarn_beta_slow", scaling.beta_slow);
    real("rope.scaling.yarn_ext_factor", scaling.extrapolation);
  }

  void add_delta_net() {
    const DeltaNet& net = *facts_.delta;
    count("ssm.conv_kernel", net.conv_kernel);
    count("ssm.state_size", net.key_dim);
    count("ssm.group_count", net.key_heads);
    count("ssm.time_step_rank", net.value_heads);
    count("ssm.inner_size", net.value_width());
    count("full_attention_interval", facts_.attention_interval);
    add("rope.dimension_sections", kSections);
    std::vector<bool> recurrent;
    for (const bool attends : facts_.attends) recurrent.push_back(!attends);
    add("attention.recurrent_layers", std::move(recurrent));
  }

  const ModelSpec& spec_;
  const Family& family_;
  const ModelFacts& facts_;
  Keys keys_;
};

/// A value in the width that llama.cpp reads tokenizer keys in: ids are u32, lists of types i32,
/// lists of scores f32.
struct ToGgufValue {
  GgufValue operator()(bool value) const { return value; }
  GgufValue operator()(int64_t value) const { return static_cast<uint32_t>(value); }
  GgufValue operator()(uint64_t value) const { return static_cast<uint32_t>(value); }
  GgufValue operator()(double value) const { return static_cast<float>(value); }
  GgufValue operator()(const std::string& value) const { return value; }
  GgufValue operator()(const std::vector<bool>& value) const { return value; }
  GgufValue operator()(const std::vector<int64_t>& value) const {
    return std::vector<int32_t>(value.begin(), value.end());
  }
  GgufValue operator()(const std::vector<uint64_t>& value) const {
    return std::vector<int32_t>(value.begin(), value.end());
  }
  GgufValue operator()(const std::vector<double>& value) const {
    return std::vector<float>(value.begin(), value.end());
  }
  GgufValue operator()(const std::vector<std::string>& value) const { return value; }
};

/// GGUF's numbers of token types, in the order of TokenizerSpec::TokenType.
constexpr std::array<int32_t, 6> kTokenTypes = {1, 3, 4, 2, 6, 5};

/// The name by which GGUF knows how the tokenizer cuts text; empty when it has none.
std::string pre_tokenizer_name(const TokenizerSpec& spec) {
  return spec.pre_tokenizer.empty() ? std::string(name_of(spec.splitting)) : spec.pre_tokenizer;
}

void add_tokens(const TokenizerSpec& spec, int vocab_size, Keys& keys) {
  std::vector<std::string> tokens = spec.tokens;
  std::vector<int32_t> types(tokens.size(), kTokenTypes[0]);
  for (size_t i = 0; i < spec.types.size(); ++i) {
    types[i] = kTokenTypes[static_cast<size_t>(spec.types[i])];
  }
  for (size_t i = tokens.size(); i < static_cast<size_t>(vocab_size); ++i) {
    tokens.push_back(str_cat("[PAD", i, "]"));
    types.push_back(kTokenTypes.back());
  }
  keys.push_back({"tokenizer.ggml.tokens", std::move(tokens)});
  keys.push_back({"tokenizer.ggml.token_type", std::move(types)});
}

void add_ids(const TokenizerSpec& spec, Keys& keys) {
  const auto add = [&](const char* key, const std::optional<TokenId>& id) {
    if (id) keys.push_back({key, static_cast<uint32_t>(*id)});
  };
  add("tokenizer.ggml.bos_token_id", spec.bos);
  add("tokenizer.ggml.eos_token_id", spec.eos);
  add("tokenizer.ggml.unknown_token_id", spec.unknown);
  add("tokenizer.ggml.padding_token_id", spec.padding);
}

}  // namespace

Result<Keys> gguf_model_keys(const ModelSpec& spec, const Family& family, WeightFormat format) {
  MKM_ASSIGN_OR_RETURN(const ModelFacts facts, facts_of(spec, family));
  return KeyWriter(spec, family, facts).write(format);
}

Keys copied_tokenizer_keys(const GgufFile& source) {
  Keys keys;
  for (const std::string& key : source.metadata_keys()) {
    if (!key.starts_with("tokenizer.")) continue;
    keys.push_back({key, std::visit(ToGgufValue{}, *source.metadata(key))});
  }
  return keys;
}

Result<Keys> tokenizer_keys(const TokenizerSpec& spec, const std::string& chat_template,
                            int vocab_size) {
  const std::string pre_tokenizer = pre_tokenizer_name(spec);
  if (pre_tokenizer.empty() || spec.prefix_space) {
    return absl::UnimplementedError(
        "[quantize] the tokenizer cuts text in a way that GGUF has no name for");
  }
  Keys keys = {{"tokenizer.ggml.model", std::string("gpt2")},
               {"tokenizer.ggml.pre", pre_tokenizer},
               {"tokenizer.ggml.merges", spec.merges},
               {"tokenizer.ggml.add_bos_token", spec.add_bos},
               {"tokenizer.ggml.add_eos_token", spec.add_eos}};
  add_tokens(spec, vocab_size, keys);
  add_ids(spec, keys);
  if (!chat_template.empty()) keys.push_back({"tokenizer.chat_template", chat_template});
  return keys;
}

}  // namespace mokume
