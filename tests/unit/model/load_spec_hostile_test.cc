// Models that are wrong: each names what is wrong with it and the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <numeric>

#include "model/layer_tensors.h"
#include "model/load_spec.h"
#include "small_llama.h"

namespace mokume {
namespace {

using mokume::testing::SmallLlama;
using ::testing::HasSubstr;

Result<ModelSpec> load(SmallLlama llama) {
  static std::vector<std::shared_ptr<GgufFile>> files;  // the specs point into them
  MKM_ASSIGN_OR_RETURN(auto file, GgufFile::from_bytes(llama.build(), "small.gguf"));
  files.push_back(file);
  return load_spec(*file);
}

TEST(SmallLlama, IsRight) {
  const Result<ModelSpec> spec = load({});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->vocab_size, 10);
  EXPECT_EQ(spec->layers.size(), 2u);
  EXPECT_EQ(layer_tensors(spec->layers[0]).size(), 9u);
  EXPECT_EQ(layer_weight_bytes(spec->layers[0]), 4u * (8 + 128 + 64 + 64 + 128 + 8 + 3 * 48));
  EXPECT_EQ(layer_kv_elements(spec->layers[0]), 16);
}

TEST(SmallLlama, Defaults) {
  SmallLlama llama;
  llama.left_out = "llama.attention.head_count_kv";
  llama.kv_heads = 4;
  EXPECT_EQ(std::get<Attention>(load(llama)->layers[0].mixer).kv_heads, 4);
  SmallLlama no_key_length;
  no_key_length.left_out = "llama.attention.key_length";
  no_key_length.head_dim = 2;  // hidden / heads
  EXPECT_EQ(std::get<Attention>(load(no_key_length)->layers[0].mixer).head_dim, 2);
}

TEST(SmallLlama, BiasesAndAHeadOfItsOwn) {
  SmallLlama llama;
  llama.builder.f32_tensor("blk.1.attn_q.bias", {16}).f32_tensor("output.weight", {8, 10});
  const Result<ModelSpec> spec = load(llama);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(std::get<Attention>(spec->layers[0].mixer).q.bias);
  EXPECT_TRUE(std::get<Attention>(spec->layers[1].mixer).q.bias);
  EXPECT_EQ(layer_tensors(spec->layers[1]).size(), 10u);
  EXPECT_FALSE(spec->tied_head);
  EXPECT_EQ(spec->head.weight.name, "output.weight");
}

/// blk.0.attn_q as NVFP4 (type 40), with a side tensor `suffix` of one value.
SmallLlama nvfp4_llama(const char* suffix, float value) {
  SmallLlama llama;
  llama.hidden = 64;
  llama.replaced = "blk.0.attn_q.weight";
  llama.replaced_dims = {64, 16};
  llama.replaced_type = 40;
  std::vector<std::byte> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  llama.builder.tensor(std::string("blk.0.attn_q") + suffix, {1}, 0, bytes);
  return llama;
}

TEST(SmallLlama, TheScaleOfAnNvfp4TensorBelongsToIt) {
  const Result<ModelSpec> spec = load(nvfp4_llama(".scale", 0.125f));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(std::get<Attention>(spec->layers[0].mixer).q.scale, 0.125f);
  EXPECT_EQ(std::get<Attention>(spec->layers[0].mixer).k.scale, 1.0f);
  const Result<ModelSpec> input = load(nvfp4_llama(".input_scale", 0.125f));
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_EQ(std::get<Attention>(input->layers[0].mixer).q.scale, 1.0f);
}

TEST(SmallLlama, AScaleMustBeFiniteAndPositive) {
  for (const char* suffix : {".scale", ".input_scale"}) {
    for (const float wrong : {0.0f, -1.0f, std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()}) {
      const Result<ModelSpec> spec = load(nvfp4_llama(suffix, wrong));
      ASSERT_FALSE(spec.ok()) << suffix << " " << wrong;
      EXPECT_THAT(std::string(spec.status().message()),
                  HasSubstr(std::string("blk.0.attn_q") + suffix));
    }
  }
}

TEST(SmallLlama, OnlyNvfp4HasAScale) {
  SmallLlama llama = nvfp4_llama(".scale", 1);
  llama.replaced.clear();
  EXPECT_FALSE(load(llama).ok());
}

TEST(SmallLlama, AHalfNormIsConverted) {
  SmallLlama llama;
  llama.replaced = "blk.1.ffn_norm.weight";
  llama.replaced_dims = {8};
  llama.replaced_type = 1;
  const Result<ModelSpec> spec = load(llama);
  ASSERT_TRUE(spec.ok()) << spec.status();
  const TensorView& weight = spec->layers[1].ffn_norm.weight;
  EXPECT_EQ(to_string(weight), "[8] F32");
  EXPECT_EQ(weight.bytes, 32u);
  ASSERT_EQ(spec->converted.size(), 1u);
  EXPECT_EQ(weight.data, reinterpret_cast<const std::byte*>(spec->converted[0]->data()));
}

TEST(SmallLlama, AQwen3WithoutItsNormsIsRefused) {
  SmallLlama llama;
  llama.architecture = "qwen3";
  EXPECT_THAT(std::string(load(llama).status().message()), HasSubstr("no key qwen3.block_count"));
}

struct Wrong {
  const char* name;
  std::function<void(SmallLlama&)> make;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongLlama : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongLlama, IsRefusedWithAReason) {
  SmallLlama llama;
  GetParam().make(llama);
  const Status status = load(llama).status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), HasSubstr("(small.gguf)"));
}

std::function<void(SmallLlama&)> without(const char* name) {
  return [name](SmallLlama& l) { l.left_out = name; };
}

std::function<void(SmallLlama&)> with(const char* name, std::vector<uint64_t> dims,
                                      uint32_t type = 0) {
  return [=](SmallLlama& l) {
    l.replaced = name;
    l.replaced_dims = dims;
    l.replaced_type = type;
  };
}

INSTANTIATE_TEST_SUITE_P(
    Tensors, WrongLlama,
    ::testing::Values(
        Wrong{"NoEmbedding", without("token_embd.weight"), "no tensor token_embd.weight"},
        Wrong{"NoNorm", without("blk.1.ffn_norm.weight"), "no tensor blk.1.ffn_norm.weight"},
        Wrong{"NoOutputNorm", without("output_norm.weight"), "no tensor output_norm.weight"},
        Wrong{"Shape", with("blk.0.ffn_up.weight", {8, 7}),
              "tensor blk.0.ffn_up.weight is [7, 8] F32; must be [6, 8]"},
        Wrong{"Swapped", with("blk.1.attn_k.weight", {8, 9}), "must be [8, 8]"},
        Wrong{"Rank", with("blk.0.attn_q.weight", {8, 16, 1}), "must be [16, 8]"},
        Wrong{"QuantizedNorm",
              [](auto& l) {
                l.hidden = 32;
                with("blk.0.attn_norm.weight", {32}, 8)(l);
              },
              "tensor blk.0.attn_norm.weight is [32] Q8_0; must be F32, F16 or BF16"},
        Wrong{"EmbeddingRank", with("token_embd.weight", {80}), "must have 2 dimensions"},
        Wrong{"BiasShape", [](auto& l) { l.builder.f32_tensor("blk.0.attn_q.bias", {8}); },
              "tensor blk.0.attn_q.bias is [8] F32; must be [16]"},
        Wrong{"Unused", [](auto& l) { l.builder.f32_tensor("blk.0.attn_q_norm.weight", {4}); },
              "tensor blk.0.attn_q_norm.weight has no place"},
        Wrong{"OneLayerMore", [](auto& l) { l.builder.f32_tensor("blk.2.ffn_up.weight", {4}); },
              "blk.2.ffn_up.weight has no place"},
        Wrong{"RopeFactor", [](auto& l) { l.builder.f32_tensor("rope_freqs.weight", {2}); },
              "rope_freqs.weight has a factor of 0"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Keys, WrongLlama,
    ::testing::Values(
        Wrong{"Family", [](auto& l) { l.architecture = "gr\x01n"; },
              "architecture \"gr\\x01n\" is not supported; supported are llama, qwen2, qwen3, "
              "qwen35 ("},
        Wrong{"NoFamily", without("general.architecture"), "no key general.architecture"},
        Wrong{"NoLayers", without("llama.block_count"), "no key llama.block_count"},
        Wrong{"NoEpsilon", without("llama.attention.layer_norm_rms_epsilon"), "rms_epsilon"},
        Wrong{"Layers0", [](auto& l) { l.layers = 0; }, "block_count is 0; must be 1 to"},
        Wrong{"Heads", [](auto& l) { l.kv_heads = 3; }, "no multiple of attention.head_count_kv"},
        Wrong{"Heads0",
              [](auto& l) {
                l.left_out = "llama.attention.head_count_kv";
                l.builder.u32(l.left_out, 0);
              },
              "head_count_kv is 0; must be 1 to"},
        Wrong{"Odd", [](auto& l) { l.head_dim = 5; }, "must be even and 2 to 512"},
        Wrong{"Wide", [](auto& l) { l.head_dim = 514; }, "key_length is 514; must be 2 to 512"},
        Wrong{"Values", [](auto& l) { l.builder.u32("llama.attention.value_length", 2); },
              "differs from the key length"},
        Wrong{"Experts", [](auto& l) { l.builder.u32("llama.expert_count", 8); }, "8 experts"},
        Wrong{"RopeDims", [](auto& l) { l.builder.u32("llama.rope.dimension_count", 6); },
              "dimension_count is 6; must be 2 to 4"},
        Wrong{"RopeOdd", [](auto& l) { l.builder.u32("llama.rope.dimension_count", 3); },
              "must be even"},
        Wrong{"RopeBase", [](auto& l) { l.builder.f32("llama.rope.freq_base", 0); },
              "freq_base is 0"},
        Wrong{"RopeType", [](auto& l) { l.builder.text("llama.rope.scaling.type", "longrope"); },
              "\"longrope\"; supported are none, linear and yarn"},
        Wrong{"RopeScale", [](auto& l) { l.builder.f32("llama.rope.scaling.factor", -2); },
              "factor is -2"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(HostileLlama, EveryBitOfTheHeaderFlipped) {
  SmallLlama llama;
  llama.layers = 1;
  const std::vector<std::byte> whole = llama.build();
  const size_t tensor_bytes = 4 * (80 + 8 + 8 + 128 + 64 + 64 + 128 + 8 + 3 * 48);
  ASSERT_GT(whole.size(), tensor_bytes);
  for (size_t bit = 0; bit < (whole.size() - tensor_bytes) * 8; ++bit) {
    std::vector<std::byte> bytes = whole;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto file = GgufFile::from_bytes(std::move(bytes), "flipped");
    if (!file.ok()) continue;
    const Result<ModelSpec> spec = load_spec(**file);
    if (!spec.ok()) continue;
    // What is accepted has its shapes; their data can be read.
    for (const TensorView& view : layer_tensors(spec->layers[0])) {
      ASSERT_EQ(row_bytes(view.dtype, view.columns()).value() * view.rows(), view.bytes);
      std::accumulate(view.data, view.data + view.bytes, 0,
                      [](int sum, std::byte b) { return sum + static_cast<int>(b); });
    }
  }
}

}  // namespace
}  // namespace mokume
