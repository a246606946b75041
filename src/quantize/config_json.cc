#include "quantize/config_json.h"

#include <nlohmann/json.hpp>

#include "quantize/rope_config.h"

namespace mokume {
namespace {

using Json = nlohmann::ordered_json;

Json rope_json(const RopeConfig& rope) {
  Json json = {{"rope_type", rope.type}};
  if (rope.type != "default") json["factor"] = rope.factor;
  if (rope.original_context) {
    json["original_max_position_embeddings"] = static_cast<int64_t>(*rope.original_context);
  }
  const auto add = [&](const char* key, const std::optional<double>& value) {
    if (value) json[key] = *value;
  };
  add("beta_fast", rope.beta_fast);
  add("beta_slow", rope.beta_slow);
  add("attention_factor", rope.attention_factor);
  add("low_freq_factor", rope.low_frequency);
  add("high_freq_factor", rope.high_frequency);
  return json;
}

/// transformers from 5 on reads rope_parameters, before it rope_theta and rope_scaling.
void add_rope(Json& json, const RopeConfig& rope, const Attention& attention) {
  Json settings = rope_json(rope);
  json["rope_theta"] = rope.theta;
  if (rope.type != "default") json["rope_scaling"] = settings;
  settings["rope_theta"] = rope.theta;
  if (attention.rope.dims != attention.head_dim) {
    const double part = static_cast<double>(attention.rope.dims) / attention.head_dim;
    settings["partial_rotary_factor"] = part;
    json["partial_rotary_factor"] = part;
  }
  json["rope_parameters"] = std::move(settings);
}

void add_ids(Json& json, const TokenIds& ids) {
  if (ids.bos) json["bos_token_id"] = *ids.bos;
  if (ids.eos.size() == 1) json["eos_token_id"] = ids.eos[0];
  if (ids.eos.size() > 1) json["eos_token_id"] = ids.eos;
  if (ids.padding) json["pad_token_id"] = *ids.padding;
}

void add_delta_net(Json& json, const ModelFacts& facts) {
  const DeltaNet& net = *facts.delta;
  json["linear_conv_kernel_dim"] = net.conv_kernel;
  json["linear_key_head_dim"] = net.key_dim;
  json["linear_value_head_dim"] = net.value_dim;
  json["linear_num_key_heads"] = net.key_heads;
  json["linear_num_value_heads"] = net.value_heads;
  json["full_attention_interval"] = facts.attention_interval;
  for (const bool attends : facts.attends) {
    json["layer_types"].push_back(attends ? "full_attention" : "linear_attention");
  }
}

Status add_biases(Json& json, const ModelFacts& facts, const Family& family) {
  const bool llama = family.model_type == "llama";
  const bool knows_attention_bias = llama || family.model_type == "qwen3";
  if (knows_attention_bias) json["attention_bias"] = facts.attention_bias;
  if (llama) json["mlp_bias"] = facts.ffn_bias;
  const bool odd_attention = facts.attention_bias && !knows_attention_bias && !family.qkv_bias;
  if (!odd_attention && (llama || !facts.ffn_bias)) return absl::OkStatus();
  return absl::UnimplementedError(
      str_cat("[quantize] biases that a configuration of ", family.model_type, " cannot tell of"));
}

Json int8_scheme() {
  Json weights = {{"num_bits", 8},
                  {"type", "int"},
                  {"symmetric", true},
                  {"strategy", "channel"},
                  {"dynamic", false}};
  Json activations = {{"num_bits", 8},
                      {"type", "int"},
                      {"symmetric", true},
                      {"strategy", "token"},
                      {"dynamic", true}};
  return {{"targets", {"Linear"}},
          {"weights", std::move(weights)},
          {"input_activations", std::move(activations)},
          {"output_activations", nullptr}};
}

Json nvfp4_scheme() {
  Json weights = {{"num_bits", 4},     {"type", "float"},
                  {"symmetric", true}, {"strategy", "tensor_group"},
                  {"group_size", 16},  {"dynamic", false}};
  return {{"targets", {"Linear"}},
          {"weights", std::move(weights)},
          {"input_activations", nullptr},
          {"output_activations", nullptr}};
}

/// Linear layers that are not quantized, by name; the head goes by "lm_head" even where it is tied.
Json ignored(const OutputPlan& plan) {
  Json names = {"lm_head"};
  for (const PlannedPart& planned : plan.parts) {
    const Role role = planned.part.role;
    const bool linear = planned.part.is_matrix() && role != Role::kEmbedding && role != Role::kHead;
    const bool plain = planned.type == DType::kF16 || planned.type == DType::kBF16;
    if (linear && plain) names.push_back(planned.name);
  }
  return names;
}

Json quantization_json(const OutputPlan& plan, WeightFormat format) {
  const bool int8 = format == WeightFormat::kInt8;
  return {{"quant_method", "compressed-tensors"},
          {"format", int8 ? "int-quantized" : "nvfp4-pack-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups", {{"group_0", int8 ? int8_scheme() : nvfp4_scheme()}}},
          {"ignore", ignored(plan)},
          {"kv_cache_scheme", nullptr}};
}

/// What the tensors that are not quantized are computed in.
const char* dtype_name(const OutputPlan& plan) {
  const bool bf16 = plan.parts.front().type == DType::kBF16;
  return bf16 ? "bfloat16" : "float16";
}

Json shape_json(const ModelSpec& spec, const ModelFacts& facts) {
  const Attention& attention = *facts.attention;
  return {{"vocab_size", spec.vocab_size},
          {"hidden_size", spec.hidden_size},
          {"intermediate_size", facts.ffn_hidden},
          {"num_hidden_layers", spec.layers.size()},
          {"num_attention_heads", attention.heads},
          {"num_key_value_heads", attention.kv_heads},
          {"head_dim", attention.head_dim},
          {"hidden_act", "silu"},
          {"max_position_embeddings", spec.context_length},
          {"rms_norm_eps", shortest_double(facts.epsilon)},
          {"tie_word_embeddings", spec.tied_head},
          {"use_cache", true}};
}

}  // namespace

Result<std::string> config_json(const ModelSpec& spec, const Family& family, const OutputPlan& plan,
                                WeightFormat format, const TokenIds& ids) {
  MKM_ASSIGN_OR_RETURN(const ModelFacts facts, facts_of(spec, family));
  MKM_ASSIGN_OR_RETURN(const RopeConfig rope, rope_config_of(facts.attention->rope));
  const bool partial = facts.attention->rope.dims != facts.attention->head_dim;
  if (partial && facts.delta == nullptr) {
    return absl::UnimplementedError(
        str_cat("[quantize] a rope over part of a head has no place in a configuration of ",
                family.model_type));
  }
  Json json = {{"architectures", {family.hf_class}}, {"model_type", family.model_type}};
  json.update(shape_json(spec, facts));
  MKM_RETURN_IF_ERROR(add_biases(json, facts, family));
  add_rope(json, rope, *facts.attention);
  if (facts.delta != nullptr) add_delta_net(json, facts);
  if (family.model_type == "mistral") json["sliding_window"] = nullptr;
  if (family.model_type == "qwen2") json["use_sliding_window"] = false;
  add_ids(json, ids);
  json["dtype"] = dtype_name(plan);
  json["torch_dtype"] = dtype_name(plan);
  const bool quantized = format == WeightFormat::kInt8 || format == WeightFormat::kNvfp4;
  if (quantized) json["quantization_config"] = quantization_json(plan, format);
  return json.dump(2) + "\n";
}

std::string generation_config_json(const TokenIds& ids) {
  Json json = Json::object();
  add_ids(json, ids);
  return json.dump(2) + "\n";
}

}  // namespace mokume
