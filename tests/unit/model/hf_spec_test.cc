#include "model/hf_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>

#include "../weights/safetensors_builder.h"
#include "model/load_model.h"
#include "weights/safetensors.h"

namespace mokume {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// The smallest llama that is right, to be made wrong.
struct SmallHf {
  json config = {
      {"model_type", "llama"},  {"num_hidden_layers", 2},        {"hidden_size", 8},
      {"intermediate_size", 6}, {"num_attention_heads", 4},      {"num_key_value_heads", 2},
      {"head_dim", 4},          {"max_position_embeddings", 64}, {"rms_norm_eps", 1e-5},
      {"vocab_size", 10},       {"tie_word_embeddings", true}};
  std::map<std::string, std::vector<int>> tensors;  ///< F32
  std::string half;                                 ///< a tensor that is BF16

  SmallHf() {
    tensors["model.embed_tokens.weight"] = {10, 8};
    tensors["model.norm.weight"] = {8};
    for (const std::string block : {"model.layers.0.", "model.layers.1."}) {
      tensors[block + "input_layernorm.weight"] = {8};
      tensors[block + "post_attention_layernorm.weight"] = {8};
      tensors[block + "self_attn.q_proj.weight"] = {16, 8};
      tensors[block + "self_attn.k_proj.weight"] = {8, 8};
      tensors[block + "self_attn.v_proj.weight"] = {8, 8};
      tensors[block + "self_attn.o_proj.weight"] = {8, 16};
      tensors[block + "mlp.gate_proj.weight"] = {6, 8};
      tensors[block + "mlp.up_proj.weight"] = {6, 8};
      tensors[block + "mlp.down_proj.weight"] = {8, 6};
    }
  }

  Result<ModelSpec> load() const {
    static std::vector<std::shared_ptr<SafetensorsFile>> files;  // the specs point into them
    json header;
    size_t end = 0;
    for (const auto& [name, shape] : tensors) {
      size_t bytes = name == half ? 2 : 4;
      for (const int size : shape) bytes *= static_cast<size_t>(size);
      header[name] = {{"dtype", name == half ? "BF16" : "F32"},
                      {"shape", shape},
                      {"data_offsets", {end, end + bytes}}};
      end += bytes;
    }
    // A space more or less decides whether F32 lies at multiples of 4 bytes.
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8 + misaligned, ' ');
    MKM_ASSIGN_OR_RETURN(
        auto file, SafetensorsFile::from_bytes(mokume::testing::safetensors(text, end), "small"));
    files.push_back(file);
    MKM_ASSIGN_OR_RETURN(const auto parsed, JsonConfig::from_text(config.dump(), "config.json"));
    return load_hf_spec(parsed, *file);
  }
  size_t misaligned = 0;
};

TEST(HfSpec, Directories) {
  const auto loaded = load_model(MOKUME_SOURCE_DIR "/tests/data/hf/tiny-qwen3/");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->tokenizer, nullptr);
  const ModelSpec& spec = loaded->model->spec;
  EXPECT_EQ(spec.name, "tiny-qwen3");
  EXPECT_EQ(spec.architecture, "qwen3");
  EXPECT_EQ(spec.layers.size(), 5u);
  const auto& attention = std::get<Attention>(spec.layers[4].mixer);
  EXPECT_EQ(attention.head_dim, 32);
  EXPECT_TRUE(attention.q_norm && attention.k_norm);
  EXPECT_FALSE(attention.rope.interleaved);
  EXPECT_FLOAT_EQ(attention.rope.inverse_frequencies[8], 1e-3f);  // rope_parameters.rope_theta 1e6
}

TEST(HfSpec, TheSmallOneIsRight) {
  const auto spec = SmallHf().load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->vocab_size, 10);
  EXPECT_TRUE(spec->tied_head);
  EXPECT_TRUE(spec->converted.empty());
}

TEST(HfSpec, NormsAreWidenedAndAligned) {
  SmallHf small;
  small.half = "model.layers.1.input_layernorm.weight";
  const auto spec = small.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(to_string(spec->layers[1].mixer_norm.weight), "[8] F32");
  small.misaligned = 1;
  const auto shifted = small.load();
  ASSERT_TRUE(shifted.ok()) << shifted.status();
  EXPECT_EQ(shifted->converted.size(), 5u);
  const auto address = reinterpret_cast<uintptr_t>(shifted->final_norm.weight.data);
  EXPECT_EQ(address % alignof(float), 0u);
}

TEST(HfSpec, MistralAndWindows) {
  SmallHf small;
  small.config["model_type"] = "mistral";
  small.config["sliding_window"] = nullptr;
  EXPECT_TRUE(small.load().ok()) << small.load().status();
  small.config["sliding_window"] = 64;  // all of the context
  EXPECT_TRUE(small.load().ok()) << small.load().status();
  small.config["sliding_window"] = 63;
  EXPECT_THAT(std::string(small.load().status().message()), HasSubstr("sliding_window is 63"));
  small.config.erase("sliding_window");
  small.config["max_position_embeddings"] = 8192;
  EXPECT_THAT(std::string(small.load().status().message()), HasSubstr("sliding_window is 4096"));
}

TEST(HfSpec, Qwen2sWindowIsOffUnlessUsed) {
  SmallHf small;
  small.config["model_type"] = "qwen2";
  for (const std::string block : {"model.layers.0.self_attn.", "model.layers.1.self_attn."}) {
    small.tensors[block + "q_proj.bias"] = {16};
    small.tensors[block + "k_proj.bias"] = small.tensors[block + "v_proj.bias"] = {8};
  }
  small.config["sliding_window"] = 16;
  small.config["use_sliding_window"] = false;
  EXPECT_TRUE(small.load().ok()) << small.load().status();
  small.config["use_sliding_window"] = true;
  small.config["max_window_layers"] = 2;  // none of two layers is left
  EXPECT_TRUE(small.load().ok()) << small.load().status();
  small.config["max_window_layers"] = 1;
  EXPECT_THAT(std::string(small.load().status().message()), HasSubstr("sliding_window is 16"));
  small.tensors.erase("model.layers.1.self_attn.k_proj.bias");
  small.config["use_sliding_window"] = false;
  EXPECT_THAT(std::string(small.load().status().message()),
              HasSubstr("model.layers.1.self_attn.k_proj.bias is missing"));
}

Rope rope_of(const json& settings) {
  SmallHf small;
  small.config.update(settings);
  const auto spec = small.load();
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? std::get<Attention>(spec->layers[0].mixer).rope : Rope();
}

TEST(HfRope, OldAndNewKeysMeanTheSame) {
  const json scaling = {{"rope_type", "linear"}, {"factor", 4}};
  json nested = scaling;
  nested["rope_theta"] = 100;
  const Rope old = rope_of({{"rope_theta", 100}, {"rope_scaling", scaling}});
  EXPECT_EQ(old.inverse_frequencies, (std::vector<float>{0.25f, 0.025f}));
  EXPECT_EQ(rope_of({{"rope_parameters", nested}}).inverse_frequencies, old.inverse_frequencies);
  EXPECT_EQ(rope_of({{"rope_theta", 100}, {"rope_scaling", {{"type", "linear"}, {"factor", 4}}}})
                .inverse_frequencies,
            old.inverse_frequencies);
  EXPECT_EQ(rope_of(json::object()).inverse_frequencies, (std::vector<float>{1, 0.01f}));
  EXPECT_FALSE(old.interleaved);
}

TEST(HfRope, Llama3ScalesSlowPairsOnly) {
  const json scaling = {{"rope_type", "llama3"},
                        {"factor", 8},
                        {"low_freq_factor", 1},
                        {"high_freq_factor", 4},
                        {"original_max_position_embeddings", 20}};
  // 20 positions: the first pair turns 3.2 times (between 1 and 4), the second hardly.
  const Rope rope = rope_of({{"rope_theta", 10000}, {"rope_scaling", scaling}});
  const double smooth = (20 / (2 * std::numbers::pi) - 1) / 3;
  EXPECT_NEAR(rope.inverse_frequencies[0], smooth + (1 - smooth) / 8, 1e-6);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.01f / 8);
  EXPECT_EQ(rope.magnitude, 1);
}

TEST(HfRope, YarnsMagnitude) {
  json scaling = {{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 16}};
  EXPECT_FLOAT_EQ(rope_of({{"rope_scaling", scaling}}).magnitude, 1 + 0.1 * std::log(4.0));
  scaling["attention_factor"] = 1.5;
  EXPECT_FLOAT_EQ(rope_of({{"rope_scaling", scaling}}).magnitude, 1.5);
}

struct Wrong {
  const char* name;
  std::function<void(SmallHf&)> make;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongHf : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongHf, IsRefusedWithAReason) {
  SmallHf small;
  GetParam().make(small);
  const Status status = small.load().status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

std::function<void(SmallHf&)> with(const char* key, const json& value) {
  return [=](SmallHf& small) { small.config[key] = value; };
}

INSTANTIATE_TEST_SUITE_P(
    Settings, WrongHf,
    ::testing::Values(
        Wrong{"Family", with("model_type", "gpt9"),
              "model_type \"gpt9\" is not supported; supported are llama, mistral, qwen2, qwen3, "
              "qwen3_5, qwen3_5_text "
              "(config.json)"},
        Wrong{"FamilyType", with("model_type", 3), "model_type must be a string (config.json)"},
        Wrong{"Layers", with("num_hidden_layers", 0), "num_hidden_layers is 0; must be 1 to"},
        Wrong{"NoHidden", with("hidden_size", nullptr), "no key hidden_size (config.json)"},
        Wrong{"Huge", with("hidden_size", 1e30), "hidden_size must be an integer"},
        Wrong{"Heads", with("num_key_value_heads", 3), "no multiple of num_key_value_heads 3"},
        Wrong{"OddHead", with("head_dim", 3), "must be even"},
        Wrong{"Epsilon", with("rms_norm_eps", -1), "rms_norm_eps is -1"},
        Wrong{"Theta", with("rope_theta", 0), "rope_theta is 0"},
        Wrong{"Activation", with("hidden_act", "gelu"), "hidden_act is \"gelu\""},
        Wrong{"Quantized", with("quantization_config", {{"bits", 4}}), "quantization_config"},
        Wrong{"Layered", with("layer_types", {"full_attention", "sliding_attention"}),
              "layer_types has \"sliding_attention\""},
        Wrong{"Scaling", with("rope_scaling", {{"rope_type", "longrope"}}),
              "rope_scaling.rope_type is \"longrope\"; supported are"},
        Wrong{"NoFactor", with("rope_scaling", {{"rope_type", "yarn"}}),
              "no key rope_scaling.factor"},
        Wrong{"RopePerLayer", with("rope_parameters", {{"full_attention", {{"rope_theta", 1e6}}}}),
              "rope_parameters.full_attention.rope_theta is not supported"},
        Wrong{"Partial", with("partial_rotary_factor", 0.5), "partial_rotary_factor is 0.5"},
        Wrong{"Tied", with("tie_word_embeddings", "yes"), "tie_word_embeddings must be true or"},
        Wrong{"Vocab", with("vocab_size", 11),
              "vocab_size is 11; model.embed_tokens.weight has 10"},
        Wrong{"Bias", with("attention_bias", true), "q_proj.bias is missing"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Tensors, WrongHf,
    ::testing::Values(
        Wrong{"NoHead", with("tie_word_embeddings", false), "no tensor lm_head.weight (small)"},
        Wrong{"Missing", [](auto& s) { s.tensors.erase("model.layers.1.mlp.up_proj.weight"); },
              "no tensor model.layers.1.mlp.up_proj.weight (small)"},
        Wrong{"Shape", [](auto& s) { s.tensors["model.norm.weight"] = {7}; },
              "tensor model.norm.weight is [7] F32; must be [8] (small)"},
        Wrong{"Rank", [](auto& s) { s.tensors["model.embed_tokens.weight"] = {80}; },
              "must have 2 dimensions"},
        Wrong{"TooMany",
              [](auto& s) {
                s.tensors["model.layers.2.mlp.up_proj.weight"] = {6, 8};
              },
              "model.layers.2.mlp.up_proj.weight has no place in a llama model"},
        Wrong{"UnknownBias", [](auto& s) { s.tensors["model.layers.0.mlp.up_proj.bias"] = {6}; },
              "model.layers.0.mlp.up_proj.bias is there"},
        Wrong{"NoNorms", with("model_type", "qwen3"), "self_attn.q_norm.weight"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(HfSpec, WhatNobodyNeedsMayBeThere) {
  SmallHf small;
  small.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {2};
  small.tensors["lm_head.weight"] = {10, 8};  // tied, and stored all the same
  EXPECT_TRUE(small.load().ok()) << small.load().status();
}

}  // namespace
}  // namespace mokume
