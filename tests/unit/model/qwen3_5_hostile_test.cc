// Qwen3.5 checkpoints that are wrong: each names what is wrong with it and the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <numeric>

#include "base/log.h"
#include "model/layer_tensors.h"
#include "model/load_spec.h"
#include "model/memory.h"
#include "small_qwen3_5.h"
#include "tiny_qwen3_5.h"

namespace mokume {
namespace {

using mokume::testing::SmallQwen3_5;
using mokume::testing::TinyQwen3_5;
using nlohmann::json;
using ::testing::HasSubstr;

template <typename Checkpoint>
struct Wrong {
  const char* name;
  std::function<void(Checkpoint&)> make;
  const char* message;
};

template <typename Checkpoint>
void PrintTo(const Wrong<Checkpoint>& wrong, std::ostream* out) {
  *out << wrong.name;
}

constexpr auto name_of = [](const auto& test) { return std::string(test.param.name); };

// Directories.

using WrongHf = Wrong<TinyQwen3_5>;

class WrongQwen3_5 : public ::testing::TestWithParam<WrongHf> {};

TEST_P(WrongQwen3_5, IsRefusedWithAReason) {
  TinyQwen3_5 tiny;
  GetParam().make(tiny);
  const Status status = tiny.load().status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

std::function<void(TinyQwen3_5&)> with(const char* key, const json& value) {
  return [=](TinyQwen3_5& tiny) { tiny.config[key] = value; };
}

std::function<void(TinyQwen3_5&)> with_text(const char* key, const json& value) {
  return [=](TinyQwen3_5& tiny) {
    tiny.make_vision_language();
    tiny.config["text_config"][key] = value;
  };
}

std::function<void(TinyQwen3_5&)> shaped(const char* tensor, const std::vector<int>& shape) {
  return [=](TinyQwen3_5& tiny) { tiny.file.add(std::string("model.layers.") + tensor, shape); };
}

std::function<void(TinyQwen3_5&)> without(const char* tensor) {
  return [=](TinyQwen3_5& tiny) { tiny.file.tensors.erase(std::string("model.layers.") + tensor); };
}

std::function<void(TinyQwen3_5&)> starting_with(const char* tensor, float value) {
  return
      [=](TinyQwen3_5& tiny) { tiny.file.set_first(std::string("model.layers.") + tensor, value); };
}

const json kSevenTypes(7, "linear_attention");
const json kOtherTypes(8, "chunked_attention");

INSTANTIATE_TEST_SUITE_P(
    Settings, WrongQwen3_5,
    ::testing::Values(
        WrongHf{"Types", with("layer_types", kSevenTypes),
                "layer_types has 7 elements; num_hidden_layers is 8 (config.json)"},
        WrongHf{"Type", with("layer_types", kOtherTypes),
                "layer_types has \"chunked_attention\"; supported are full_attention and "
                "linear_attention"},
        WrongHf{"NoTypes", with("layer_types", json::array()), "layer_types has 0 elements"},
        WrongHf{"TypesOfNumbers", with("layer_types", json(8, 1)),
                "layer_types must be an array of strings"},
        WrongHf{"TypesObject", with("layer_types", {{"0", "full_attention"}}),
                "layer_types must be an array of strings"},
        WrongHf{"AllRecurrent", with("layer_types", json(8, "linear_attention")),
                "no tensor model.layers.3.linear_attn.in_proj_qkv.weight (tiny)"},
        WrongHf{"Interval",
                [](auto& tiny) {
                  tiny.config["layer_types"] = nullptr;
                  tiny.config["full_attention_interval"] = 0;
                },
                "full_attention_interval is 0; must be 1 to"},
        WrongHf{"Layers", with("num_hidden_layers", 1025), "num_hidden_layers is 1025"},
        WrongHf{"KeyHeads", with("linear_num_key_heads", 0), "linear_num_key_heads is 0"},
        WrongHf{"ManyKeyHeads", with("linear_num_key_heads", 4097), "is 4097; must be 1 to 4096"},
        WrongHf{"ValueHeads", with("linear_num_value_heads", 1 << 30), "must be 1 to 4096"},
        WrongHf{"NoMultiple", with("linear_num_value_heads", 5),
                "linear_num_value_heads 5 is no multiple of linear_num_key_heads 2 (config.json)"},
        WrongHf{"Swapped", with("linear_num_value_heads", 1), "is no multiple of"},
        WrongHf{"KeyDim", with("linear_key_head_dim", 513), "must be 1 to 512"},
        WrongHf{"ValueDim", with("linear_value_head_dim", -16), "must be 1 to 512"},
        WrongHf{"ValueDimType", with("linear_value_head_dim", {{"a", 1}}),
                "no key linear_value_head_dim"},
        WrongHf{"Kernel", with("linear_conv_kernel_dim", 1), "must be 2 to 32"},
        WrongHf{"LargeKernel", with("linear_conv_kernel_dim", 33), "must be 2 to 32"},
        WrongHf{"Part", with("rope_parameters", {{"partial_rotary_factor", 1.5}}),
                "rope_parameters.partial_rotary_factor is 1.5; must be 0 to 1"},
        WrongHf{"NoPart", with("rope_parameters", {{"partial_rotary_factor", 0}}),
                "partial_rotary_factor 0 of heads of 32 elements is 0; must be even"},
        WrongHf{"OddPart", with("rope_parameters", {{"partial_rotary_factor", 0.1}}),
                "partial_rotary_factor 0.1 of heads of 32 elements is 3; must be even"},
        WrongHf{"Activation", with("hidden_act", "gelu"), "hidden_act is \"gelu\""},
        WrongHf{"Bias", with("attention_bias", true), "self_attn.q_proj.bias is missing"},
        WrongHf{"NoText", with("model_type", "qwen3_5"),
                "no key text_config, which a qwen3_5 has (config.json)"},
        WrongHf{"TextIsText",
                [](auto& tiny) {
                  tiny.config["model_type"] = "qwen3_5";
                  tiny.config["text_config"] = "config.json";
                },
                "no key num_hidden_layers (config.json, text_config)"},
        WrongHf{"TextHidden", with_text("hidden_size", 0),
                "hidden_size is 0; must be 1 to 1048576 (config.json, text_config)"},
        WrongHf{"TextTypes", with_text("layer_types", kSevenTypes),
                "layer_types has 7 elements; num_hidden_layers is 8 (config.json, text_config)"},
        WrongHf{"TextVocab", with_text("vocab_size", 500),
                "vocab_size is 500; model.language_model.embed_tokens.weight has 512 rows"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Tensors, WrongQwen3_5,
    ::testing::Values(
        WrongHf{"NoConv", without("0.linear_attn.conv1d.weight"),
                "no tensor model.layers.0.linear_attn.conv1d.weight (tiny)"},
        WrongHf{"NoRate", without("6.linear_attn.A_log"), "model.layers.6.linear_attn.A_log"},
        WrongHf{"NoDt", without("6.linear_attn.dt_bias"), "model.layers.6.linear_attn.dt_bias"},
        WrongHf{"NoZ", without("2.linear_attn.in_proj_z.weight"), "in_proj_z.weight (tiny)"},
        WrongHf{"NoQNorm", without("3.self_attn.q_norm.weight"), "3.self_attn.q_norm.weight"},
        WrongHf{"FlatConv", shaped("0.linear_attn.conv1d.weight", {128, 4}),
                "conv1d.weight is [128, 4] F32; must be [128, 1, 4] (tiny)"},
        WrongHf{"Kernel", shaped("0.linear_attn.conv1d.weight", {128, 1, 3}), "[128, 1, 4]"},
        WrongHf{"Channels", shaped("1.linear_attn.in_proj_qkv.weight", {129, 64}),
                "in_proj_qkv.weight is [129, 64] F32; must be [128, 64] (tiny)"},
        WrongHf{"Out", shaped("1.linear_attn.out_proj.weight", {64, 65}), "must be [64, 64]"},
        WrongHf{"Heads", shaped("1.linear_attn.in_proj_a.weight", {2, 64}), "must be [4, 64]"},
        WrongHf{"Rates", shaped("1.linear_attn.A_log", {5}), "must be [4]"},
        WrongHf{"NoGate", shaped("3.self_attn.q_proj.weight", {128, 64}),
                "q_proj.weight is [128, 64] F32; must be [256, 64] (tiny)"},
        WrongHf{"Bias", shaped("1.linear_attn.in_proj_b.bias", {4}),
                "model.layers.1.linear_attn.in_proj_b.bias is there"},
        WrongHf{"RateInfinite", starting_with("0.linear_attn.A_log", 89),
                "tensor model.layers.0.linear_attn.A_log gives a head the decay rate -inf; must be "
                "finite and at most 0 (tiny)"},
        WrongHf{"RateNoNumber",
                starting_with("0.linear_attn.A_log", std::numeric_limits<float>::quiet_NaN()),
                "linear_attn.A_log gives a head the decay rate"},
        WrongHf{"BothMixers", shaped("0.self_attn.q_proj.weight", {256, 64}),
                "model.layers.0.self_attn.q_proj.weight has no place in a qwen3_5 model"},
        WrongHf{"OneLayerMore", shaped("8.input_layernorm.weight", {64}), "has no place"},
        WrongHf{"OtherTower", [](auto& tiny) { tiny.file.add("model.audio.conv.weight", {4}); },
                "model.audio.conv.weight has no place"}),
    name_of);

// GGUF files.

Result<ModelSpec> load(SmallQwen3_5 small) {
  static std::vector<std::shared_ptr<GgufFile>> files;  // the specs point into them
  MKM_ASSIGN_OR_RETURN(auto file, GgufFile::from_bytes(small.build(), "small.gguf"));
  files.push_back(file);
  return load_spec(*file);
}

constexpr uint32_t kArray = 9, kBool = 7;

void recurrent_layers(SmallQwen3_5& small, const std::vector<bool>& layers) {
  mokume::testing::ByteWriter writer;
  writer.number(kBool).number<uint64_t>(layers.size());
  for (const bool recurrent : layers) writer.number<uint8_t>(recurrent);
  small.builder.key("qwen35.attention.recurrent_layers", kArray, writer);
}

TEST(SmallQwen3_5, IsRight) {
  const auto spec = load({});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(std::holds_alternative<DeltaNet>(spec->layers[0].mixer));
  EXPECT_TRUE(std::holds_alternative<Attention>(spec->layers[1].mixer));
  EXPECT_EQ(layer_tensors(spec->layers[0]).size(), 14u);
  EXPECT_EQ(stage_state_bytes(*spec, 0, 2), 4u * (4 * 2 + 8 * 3));
}

TEST(SmallQwen3_5, RecurrentLayersComeBeforeTheInterval) {
  SmallQwen3_5 small;
  small.interval = 1;
  EXPECT_THAT(std::string(load(small).status().message()), HasSubstr("blk.0.attn_q.weight"));
  recurrent_layers(small, {true, false});
  EXPECT_TRUE(load(small).ok()) << load(small).status();
}

TEST(SmallQwen3_5, PredictionLayersAreLeftOut) {
  SmallQwen3_5 small;
  small.blocks = 3;
  small.nextn = 1;
  recurrent_layers(small, {true, false, false});
  small.builder.f32_tensor("blk.2.attn_q.weight", {8, 16});
  small.builder.f32_tensor("blk.2.nextn.eh_proj.weight", {16, 8});
  ASSERT_TRUE(init_logging("info", "text").ok());
  ::testing::internal::CaptureStderr();
  const auto spec = load(small);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("small.gguf: skipping 0 tensors of the vision tower and 2 of multi-token "
                        "prediction\n"));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->layers.size(), 2u);
}

using WrongGguf = Wrong<SmallQwen3_5>;

class WrongQwen3_5Gguf : public ::testing::TestWithParam<WrongGguf> {};

TEST_P(WrongQwen3_5Gguf, IsRefusedWithAReason) {
  SmallQwen3_5 small;
  GetParam().make(small);
  const Status status = load(small).status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), HasSubstr("(small.gguf)"));
}

std::function<void(SmallQwen3_5&)> missing(const char* name) {
  return [=](SmallQwen3_5& small) { small.left_out = name; };
}

std::function<void(SmallQwen3_5&)> with(uint32_t SmallQwen3_5::*field, uint32_t value) {
  return [=](SmallQwen3_5& small) { small.*field = value; };
}

/// The key alone, whatever the tensors are.
std::function<void(SmallQwen3_5&)> with_inner_size(uint32_t value) {
  return [=](SmallQwen3_5& small) {
    small.left_out = "ssm.inner_size";
    small.builder.u32("qwen35.ssm.inner_size", value);
  };
}

INSTANTIATE_TEST_SUITE_P(
    Keys, WrongQwen3_5Gguf,
    ::testing::Values(
        WrongGguf{"AllPredict", with(&SmallQwen3_5::nextn, 2),
                  "nextn_predict_layers is 2; must be 0 to 1"},
        WrongGguf{"Interval", with(&SmallQwen3_5::interval, 0), "interval is 0; must be 1 to"},
        WrongGguf{"Kernel", with(&SmallQwen3_5::kernel, 1), "conv_kernel is 1; must be 2 to 32"},
        WrongGguf{"LargeKernel", with(&SmallQwen3_5::kernel, 4000), "must be 2 to 32"},
        WrongGguf{"State", with(&SmallQwen3_5::state_size, 513), "must be 1 to 512"},
        WrongGguf{"Multiple",
                  [](auto& s) {
                    s.key_heads = 2;
                    s.value_heads = 3;
                    s.inner_size = 6;
                  },
                  "ssm.time_step_rank 3 is no multiple of ssm.group_count 2"},
        WrongGguf{"Inner", with(&SmallQwen3_5::inner_size, 5),
                  "ssm.inner_size 5 is not ssm.time_step_rank 2 times 1 to 512"},
        WrongGguf{"SmallInner", with_inner_size(1), "ssm.inner_size 1 is not"},
        WrongGguf{"LargeInner", with(&SmallQwen3_5::inner_size, 1026), "times 1 to 512"},
        WrongGguf{"HugeInner", with_inner_size((1 << 21) + 1), "must be 1 to 2097"},
        WrongGguf{"NoInner", missing("ssm.inner_size"), "no key qwen35.ssm.inner_size"},
        WrongGguf{"NoGroups", missing("ssm.group_count"), "no key qwen35.ssm.group_count"},
        WrongGguf{"Recurrent",
                  [](auto& s) {
                    recurrent_layers(s, {true, false, true});
                  },
                  "attention.recurrent_layers has 3 elements; block_count is 2"},
        WrongGguf{"RecurrentType",
                  [](auto& s) { s.builder.u32("qwen35.attention.recurrent_layers", 1); },
                  "qwen35.attention.recurrent_layers must be an array of booleans"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Tensors, WrongQwen3_5Gguf,
    ::testing::Values(
        WrongGguf{"NoRate", missing("blk.0.ssm_a"), "no tensor blk.0.ssm_a"},
        WrongGguf{"NoConv", missing("blk.0.ssm_conv1d.weight"), "blk.0.ssm_conv1d.weight"},
        WrongGguf{"NoNorm", missing("blk.1.post_attention_norm.weight"), "blk.1.post_attention"},
        WrongGguf{"RateAbove0",
                  [](auto& s) {
                    s.left_out = "blk.0.ssm_a";
                    s.builder.tensor("blk.0.ssm_a", {2}, 0,
                                     mokume::testing::ByteWriter().number(-1.f).number(1.f).bytes_);
                  },
                  "tensor blk.0.ssm_a gives a head the decay rate 1; must be finite and at most 0"},
        WrongGguf{"ConvSwapped",
                  [](auto& s) {
                    s.left_out = "blk.0.ssm_conv1d.weight";
                    s.builder.f32_tensor(s.left_out, {8, 4});
                  },
                  "tensor blk.0.ssm_conv1d.weight is [4, 8] F32; must be [8, 4]"},
        WrongGguf{"NoGate",
                  [](auto& s) {
                    s.left_out = "blk.1.attn_q.weight";
                    s.builder.f32_tensor(s.left_out, {8, 8});
                  },
                  "tensor blk.1.attn_q.weight is [8, 8] F32; must be [16, 8]"},
        WrongGguf{"NextnWithoutTheKey",
                  [](auto& s) {
                    s.builder.f32_tensor("blk.2.nextn.eh_proj.weight", {16, 8});
                  },
                  "blk.2.nextn.eh_proj.weight has no place in a qwen35 model"}),
    name_of);

TEST(HostileQwen3_5, EveryBitOfTheHeaderFlipped) {
  SmallQwen3_5 small;
  const std::vector<std::byte> whole = small.build();
  const size_t header = whole.size() - small.builder.tensors_.back().offset -
                        small.builder.tensors_.back().data.size();
  for (size_t bit = 0; bit < header * 8; ++bit) {
    std::vector<std::byte> bytes = whole;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto file = GgufFile::from_bytes(std::move(bytes), "flipped");
    if (!file.ok()) continue;
    const Result<ModelSpec> spec = load_spec(**file);
    if (!spec.ok()) continue;
    // What is accepted has its shapes; their data can be read.
    for (const LayerSpec& layer : spec->layers) {
      for (const TensorView& view : layer_tensors(layer)) {
        ASSERT_EQ(row_bytes(view.dtype, view.columns()).value() * view.rows(), view.bytes);
        std::accumulate(view.data, view.data + view.bytes, 0,
                        [](int sum, std::byte b) { return sum + static_cast<int>(b); });
      }
    }
  }
}

}  // namespace
}  // namespace mokume
