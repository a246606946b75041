#include "model/hf_quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

namespace mokume {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

using Scheme = std::optional<LinearScheme>;
constexpr auto kInt8 = LinearScheme::kInt8;
constexpr auto kFp8 = LinearScheme::kFp8;
constexpr auto kNvfp4 = LinearScheme::kNvfp4;

const json kInt8Weights = {
    {"num_bits", 8}, {"type", "int"}, {"strategy", "channel"}, {"symmetric", true}};
const json kFp8Weights = {{"num_bits", 8}, {"type", "float"}, {"strategy", "tensor"}};
const json kNvfp4Weights = {
    {"num_bits", 4}, {"type", "float"}, {"strategy", "tensor_group"}, {"group_size", 16}};

json group(const json& targets, const json& weights, const json& format = nullptr) {
  return {{"targets", targets}, {"weights", weights}, {"format", format}};
}

json compressed(const json& groups, const json& format = nullptr,
                const json& ignore = json::array()) {
  return {{"quant_method", "compressed-tensors"},
          {"config_groups", groups},
          {"format", format},
          {"ignore", ignore}};
}

Result<HfQuantization> parse(const json& settings, const char* key = "quantization_config") {
  const json config = {{key, settings}};
  const auto parsed = JsonConfig::from_text(config.dump(), "config.json");
  return parse_hf_quantization(*parsed, nullptr);
}

Scheme scheme(const json& settings, std::string_view module) {
  const auto parsed = parse(settings);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->scheme_of(module) : std::nullopt;
}

TEST(HfQuantization, NothingIsFloat) {
  const auto parsed = parse(nullptr);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->scheme_of("model.layers.0.mlp.up_proj"), std::nullopt);
  EXPECT_FALSE(parsed->has_kv_scheme);
}

TEST(HfQuantization, IgnoredByNamePatternAndClass) {
  const json groups = {{"group_0", group({"Linear"}, kInt8Weights)}};
  const json settings =
      compressed(groups, "int-quantized", {"lm_head", "re:.*in_proj_[ab]$", "re:model.layers.1"});
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.up_proj"), kInt8);
  EXPECT_EQ(scheme(settings, "lm_head"), std::nullopt);
  EXPECT_EQ(scheme(settings, "model.lm_head"), kInt8);  // names are whole
  EXPECT_EQ(scheme(settings, "model.layers.0.linear_attn.in_proj_a"), std::nullopt);
  EXPECT_EQ(scheme(settings, "model.layers.0.linear_attn.in_proj_ab"), kInt8);
  EXPECT_EQ(scheme(settings, "model.layers.1.mlp.up_proj"), std::nullopt);  // a beginning matches
  EXPECT_EQ(scheme(settings, "xmodel.layers.1.mlp.up_proj"), kInt8);        // a middle does not
  EXPECT_EQ(scheme(compressed(groups, "int-quantized", {"Linear"}), "lm_head"), std::nullopt);
}

TEST(HfQuantization, TheClosestGroupDecides) {
  const json settings =
      compressed({{"a", group({"Linear"}, kInt8Weights, "int-quantized")},
                  {"b", group({"re:.*down_proj"}, kFp8Weights, "float-quantized")},
                  {"c", group({"model.layers.0.mlp.down_proj"}, kNvfp4Weights)},
                  {"d", group({"re:.*gate"}, nullptr)}},
                 "mixed-precision");
  EXPECT_EQ(scheme(settings, "model.layers.1.mlp.up_proj"), kInt8);
  EXPECT_EQ(scheme(settings, "model.layers.1.mlp.down_proj"), kFp8);
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.down_proj"), kNvfp4);
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.gate_proj"), std::nullopt);
}

TEST(HfQuantization, LayersThatNoGroupNamesAreFloat) {
  const json settings = compressed({{"g", group({"re:.*mlp.*"}, kNvfp4Weights)}});
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.up_proj"), kNvfp4);
  EXPECT_EQ(scheme(settings, "model.layers.0.self_attn.q_proj"), std::nullopt);
}

TEST(HfQuantization, StrategiesThatFollowFromTheGroupSize) {
  json weights = {{"num_bits", 8}};
  EXPECT_EQ(scheme(compressed({{"g", group({"Linear"}, weights)}}), "x"), kInt8);
  weights["group_size"] = -1;
  EXPECT_EQ(scheme(compressed({{"g", group({"Linear"}, weights)}}), "x"), kInt8);
  weights["group_size"] = 32;
  EXPECT_FALSE(parse(compressed({{"g", group({"Linear"}, weights)}})).ok());
}

TEST(HfQuantization, ModelOpt) {
  json settings = {
      {"quant_method", "modelopt"},
      {"quant_algo", "NVFP4"},
      {"ignore", {"lm_head", "*in_proj_a", "model.layers.1", "model.layers.2*", "a?c"}}};
  const Scheme nvfp4 = LinearScheme::kModelOptNvfp4;
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.up_proj"), nvfp4);
  EXPECT_EQ(scheme(settings, "lm_head"), std::nullopt);
  EXPECT_EQ(scheme(settings, "lm_head_2"), nvfp4);
  EXPECT_EQ(scheme(settings, "model.layers.0.linear_attn.in_proj_a"), std::nullopt);
  EXPECT_EQ(scheme(settings, "model.layers.0.linear_attn.in_proj_ab"), nvfp4);
  EXPECT_EQ(scheme(settings, "model.layers.1.mlp.up_proj"), std::nullopt);  // all of the layer
  EXPECT_EQ(scheme(settings, "model.layers.10.mlp.up_proj"), nvfp4);
  EXPECT_EQ(scheme(settings, "model.layers.20.mlp.up_proj"), std::nullopt);
  EXPECT_EQ(scheme(settings, "abc.d"), std::nullopt);
  EXPECT_EQ(scheme(settings, "modelXlayers.1"), nvfp4);  // a dot is a dot
  settings["quant_algo"] = "FP8";
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.up_proj"), kFp8);
  settings["quant_algo"] = nullptr;  // keys and values alone
  settings["kv_cache_quant_algo"] = "FP8";
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.up_proj"), std::nullopt);
  EXPECT_TRUE(parse(settings)->has_kv_scheme);
}

TEST(HfQuantization, ModelOptsMixedPrecision) {
  const json layers = {
      {"model.layers.0.mlp.up_proj", {{"quant_algo", "FP8"}}},
      {"model.layers.1.mlp.up_proj", {{"quant_algo", "NVFP4"}, {"group_size", 16}}}};
  json settings = {{"quant_method", "modelopt"},
                   {"quant_algo", "MIXED_PRECISION"},
                   {"quantized_layers", layers}};
  EXPECT_EQ(scheme(settings, "model.layers.0.mlp.up_proj"), kFp8);
  EXPECT_EQ(scheme(settings, "model.layers.1.mlp.up_proj"), LinearScheme::kModelOptNvfp4);
  EXPECT_EQ(scheme(settings, "model.layers.2.mlp.up_proj"), std::nullopt);
  settings["quantized_layers"]["x"] = {{"quant_algo", "W4A8_AWQ"}};
  EXPECT_THAT(std::string(parse(settings).status().message()),
              HasSubstr("quantized_layers.x.quant_algo \"W4A8_AWQ\" is not supported"));
}

TEST(HfQuantization, ConfigJsonComesBeforeModelOptsFile) {
  const auto modelopt = JsonConfig::from_text(
      R"({"quantization":{"quant_algo":"FP8","kv_cache_quant_algo":null,"exclude_modules":["a"]}})",
      "hf_quant_config.json");
  const auto plain = JsonConfig::from_text("{}", "config.json");
  auto parsed = parse_hf_quantization(*plain, &*modelopt);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->scheme_of("b"), kFp8);
  EXPECT_EQ(parsed->scheme_of("a"), std::nullopt);
  EXPECT_FALSE(parsed->has_kv_scheme);
  const auto nested = JsonConfig::from_text(
      R"({"text_config":{"quantization_config":{"quant_method":"modelopt","quant_algo":"NVFP4"}}})",
      "config.json");
  parsed = parse_hf_quantization(*nested, &*modelopt);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->scheme_of("a"), LinearScheme::kModelOptNvfp4);
}

struct Wrong {
  const char* name;
  json settings;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongQuantization : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongQuantization, IsRefusedWithAReason) {
  const Status status = parse(GetParam().settings).status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), HasSubstr("config.json)"));
}

json weights(json changed) {
  json all = kInt8Weights;
  all.update(changed);
  return compressed({{"g", group({"Linear"}, all)}}, "pack-quantized");
}

json modelopt(const json& more) {
  json all = {{"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}};
  all.update(more);
  return all;
}

const auto test_name = [](const auto& test) { return std::string(test.param.name); };

INSTANTIATE_TEST_SUITE_P(
    Schemes, WrongQuantization,
    ::testing::Values(
        Wrong{"Awq",
              {{"quant_method", "awq"}, {"bits", 4}},
              "quantization_config.quant_method \"awq\" is not supported; supported are "
              "compressed-tensors int-quantized"},
        Wrong{"Gptq", {{"quant_method", "gptq"}}, "\"gptq\" is not supported"},
        Wrong{"BitsAndBytes", {{"quant_method", "bitsandbytes"}}, "\"bitsandbytes\" is not"},
        Wrong{"Blocks",
              {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}},
              "\"fp8\" (FP8 with a scale a block, weight_scale_inv) is not supported"},
        Wrong{"NoMethod", {{"bits", 4}}, "no key quantization_config.quant_method"},
        Wrong{"MethodType", {{"quant_method", 4}}, "quant_method must be a string"},
        Wrong{"Unprintable", {{"quant_method", "\n"}}, "\"\\n\" is not supported"},
        Wrong{"Int4", weights({{"num_bits", 4}, {"strategy", "group"}, {"group_size", 128}}),
              "config_groups.g: weights of 4-bit int, a scale a group of 128 in format "
              "\"pack-quantized\" are not supported; supported are"},
        Wrong{"Grouped", weights({{"strategy", "group"}, {"group_size", 128}}),
              "8-bit int, a scale a group of 128"},
        Wrong{"Asymmetric", weights({{"symmetric", false}}),
              "8-bit int, a scale a channel, asymmetric"},
        Wrong{"Fp8Blocks", weights({{"type", "float"}, {"strategy", "block"}}), "a scale a block"},
        Wrong{"Mxfp4",
              weights(
                  {{"type", "float"}, {"num_bits", 4}, {"strategy", "group"}, {"group_size", 32}}),
              "4-bit float, a scale a group of 32"},
        Wrong{"Format", compressed({{"g", group({"Linear"}, kNvfp4Weights)}}, "marlin-24"),
              "in format \"marlin-24\""},
        Wrong{"OwnFormat",
              compressed({{"g", group({"Linear"}, kFp8Weights, "dense")}}, "float-quantized"),
              "in format \"dense\""},
        Wrong{"Algorithm", modelopt({{"quant_algo", "W4A16_AWQ"}}),
              "quant_algo \"W4A16_AWQ\" is not"},
        Wrong{
            "NoAlgorithm", {{"quant_method", "modelopt"}}, "no key quantization_config.quant_algo"},
        Wrong{"GroupSize", modelopt({{"group_size", 32}}),
              "group_size is 32; NVFP4 has groups of 16"}),
    test_name);

json with(const char* key, const json& value) {
  json all = compressed({{"g", group({"Linear"}, kInt8Weights)}}, "int-quantized");
  all[key] = value;
  return all;
}

INSTANTIATE_TEST_SUITE_P(
    Settings, WrongQuantization,
    ::testing::Values(
        Wrong{"Sparse", with("sparsity_config", {{"format", "sparse-24-bitmask"}}),
              "sparsity_config.format \"sparse-24-bitmask\" is not supported"},
        Wrong{"Transforms",
              with("transform_config", {{"config_groups", {{"R1", {{"type", "hadamard"}}}}}}),
              "transform_config: transformed weights are not supported"},
        Wrong{"IgnoreType", with("ignore", "lm_head"), "ignore must be an array of strings"},
        Wrong{"IgnoreItem", with("ignore", {1, 2}), "ignore must be an array of strings"},
        Wrong{"Targets", compressed({{"g", group("Linear", kInt8Weights)}}),
              "g.targets must be an array"},
        Wrong{"Bits", weights({{"num_bits", -8}}), "weights.num_bits is -8"},
        Wrong{"NoBits", weights({{"num_bits", nullptr}}),
              "no key quantization_config.config_groups.g.weights.num_bits"},
        Wrong{"Symmetric", weights({{"symmetric", "yes"}}),
              "weights.symmetric must be true or false"},
        Wrong{"Regex", with("ignore", {"re:("}), "pattern \"re:(\" cannot be used: missing )"},
        Wrong{"LookAhead", with("ignore", {"re:(?!x)"}), "pattern \"re:(?!x)\" cannot be used"},
        Wrong{"Repeats", with("ignore", {"re:((a{100}){100}){100}"}), "cannot be used"},
        Wrong{"LongRegex", with("ignore", {"re:" + std::string(600, 'a')}),
              "at most 256 patterns of 512"},
        Wrong{"Brackets", modelopt({{"ignore", {"a[bc]"}}}),
              "pattern \"a[bc]\": only * and ? are"}),
    test_name);

TEST(HfQuantization, ManyPatternsAndGroupsAreRefused) {
  EXPECT_THAT(
      std::string(parse(with("ignore", std::vector<std::string>(257, "re:a"))).status().message()),
      HasSubstr("at most 256 patterns"));
  json groups;
  for (int i = 0; i < 65; ++i) groups["g" + std::to_string(i)] = group({"Linear"}, kInt8Weights);
  EXPECT_THAT(std::string(parse(compressed(groups)).status().message()),
              HasSubstr("has 65; at most 64"));
}

// A backtracking matcher would need 2^30 steps and more for one name.
TEST(HfQuantization, PatternsCannotHang) {
  const json ignore(std::vector<std::string>(64, "re:(a*)*(a|aa)*(.*)*(.?){30}.{30}b$"));
  const json settings = with("ignore", ignore);
  EXPECT_EQ(scheme(settings, std::string(500, 'a')), kInt8);
  std::string stars;
  for (int i = 0; i < 100; ++i) stars += "*a";
  EXPECT_EQ(scheme(modelopt({{"ignore", {stars + "b"}}}), std::string(500, 'a')),
            LinearScheme::kModelOptNvfp4);
}

}  // namespace
}  // namespace mokume
