// Qwen3.5 from GGUF files and from Hugging Face directories: the same model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "base/log.h"
#include "model/layer_tensors.h"
#include "model/load_model.h"
#include "model/memory.h"
#include "reference_forward.h"
#include "tiny_qwen3_5.h"

namespace mokume {
namespace {

using mokume::testing::floats_of;
using mokume::testing::ReferenceForward;
using mokume::testing::TinyQwen3_5;
using ::testing::HasSubstr;

std::shared_ptr<const Model> load(const std::string& name) {
  const auto loaded = load_model(MOKUME_SOURCE_DIR "/tests/data/" + name);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->model : nullptr;
}

std::shared_ptr<const Model> load_gguf() { return load("gguf/tiny-qwen3_5.gguf"); }
std::shared_ptr<const Model> load_hf() { return load("hf/tiny-qwen3_5"); }

void expect_tiny(const ModelSpec& spec) {
  EXPECT_EQ(spec.architecture, "qwen3_5");
  EXPECT_EQ(spec.hidden_size, 64);
  EXPECT_EQ(spec.vocab_size, 512);
  EXPECT_FALSE(spec.tied_head);
  ASSERT_EQ(spec.layers.size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(std::holds_alternative<Attention>(spec.layers[i].mixer), i % 4 == 3) << i;
  }
  const auto& attention = std::get<Attention>(spec.layers[7].mixer);
  EXPECT_TRUE(attention.output_gate);
  EXPECT_EQ(to_string(attention.q.weight), "[256, 64] F32");
  EXPECT_EQ(to_string(attention.o.weight), "[64, 128] F32");
  EXPECT_TRUE(attention.q_norm && attention.k_norm);
  EXPECT_EQ(attention.rope.dims, 8);
  EXPECT_FALSE(attention.rope.interleaved);
  EXPECT_FLOAT_EQ(attention.rope.inverse_frequencies[1], 0.1f);
  const auto& net = std::get<DeltaNet>(spec.layers[6].mixer);
  EXPECT_EQ(net.key_heads, 2);
  EXPECT_EQ(net.value_heads, 4);
  EXPECT_EQ(net.key_dim, 16);
  EXPECT_EQ(net.value_dim, 16);
  EXPECT_EQ(net.conv_kernel, 4);
  EXPECT_EQ(to_string(net.conv), "[128, 4] F32");
  EXPECT_EQ(to_string(net.norm.weight), "[16] F32");
  EXPECT_EQ(stage_state_bytes(spec, 0, 8), 6u * 4 * (4 * 16 * 16 + 128 * 3));
}

TEST(Qwen3_5, Gguf) {
  const auto model = load_gguf();
  expect_tiny(model->spec);
  EXPECT_EQ(model->spec.name, "Tiny Qwen3_5");
  EXPECT_TRUE(std::get<DeltaNet>(model->spec.layers[0].mixer).tiled_heads);
}

TEST(Qwen3_5, Directory) {
  const auto model = load_hf();
  expect_tiny(model->spec);
  EXPECT_FALSE(std::get<DeltaNet>(model->spec.layers[0].mixer).tiled_heads);
}

// The order of heads, rope, norms, gates: all of it shows in the logits.
TEST(Qwen3_5, TheSpecGivesTheReferencesLogits) {
  const auto expected = mokume::testing::expected_logits("hf/tiny-qwen3_5");
  for (const auto& model : {load_gguf(), load_hf()}) {
    const auto logits = ReferenceForward(model->spec).logits(expected.prompt);
    double worst = 0;
    for (size_t i = 0; i < expected.logits.size(); ++i) {
      const double error = std::fabs(logits[i / 512][i % 512] - expected.logits[i]);
      worst = std::max(worst, error);
    }
    EXPECT_LT(worst, 1e-3);  // 4.4e-4: the reference has float32
  }
}

using Values = std::vector<std::vector<float>>;  ///< row by row

Values values_of(const TensorView& view) {
  const std::vector<float> all = floats_of(view);
  Values rows;
  for (auto at = all.begin(); at != all.end(); at += view.columns())
    rows.emplace_back(at, at + view.columns());
  return rows;
}

Values transposed(const Values& values) {
  Values result(values[0].size());
  for (const auto& row : values)
    for (size_t i = 0; i < row.size(); ++i) result[i].push_back(row[i]);
  return result;
}

/// Puts the parts of `size` rows from row `begin` on, one a value head, from grouped into tiled
/// order, for 2 key heads and 4 value heads.
Values tiled(const Values& values, size_t begin, size_t size) {
  Values result(values.begin(), values.begin() + static_cast<ptrdiff_t>(begin));
  for (const size_t head : {0, 2, 1, 3}) {
    const auto part = values.begin() + static_cast<ptrdiff_t>(begin + head * size);
    result.insert(result.end(), part, part + static_cast<ptrdiff_t>(size));
  }
  return result;
}

void expect_same(const DeltaNet& gguf, const DeltaNet& hf) {
  const size_t keys = 2 * 2 * 16;  // rows of queries and keys
  EXPECT_EQ(values_of(gguf.qkv.weight), tiled(values_of(hf.qkv.weight), keys, 16));
  EXPECT_EQ(values_of(gguf.z.weight), tiled(values_of(hf.z.weight), 0, 16));
  EXPECT_EQ(values_of(gguf.a.weight), tiled(values_of(hf.a.weight), 0, 1));
  EXPECT_EQ(values_of(gguf.b.weight), tiled(values_of(hf.b.weight), 0, 1));
  EXPECT_EQ(values_of(gguf.conv), tiled(values_of(hf.conv), keys, 16));
  EXPECT_EQ(transposed(values_of(gguf.o.weight)), tiled(transposed(values_of(hf.o.weight)), 0, 16));
  EXPECT_EQ(transposed(values_of(gguf.dt_bias)), tiled(transposed(values_of(hf.dt_bias)), 0, 1));
  const Values rates = tiled(transposed(values_of(hf.decay_rate)), 0, 1);
  for (size_t head = 0; head < 4; ++head)
    EXPECT_FLOAT_EQ(floats_of(gguf.decay_rate)[head], rates[head][0]);
  EXPECT_EQ(floats_of(gguf.norm.weight), floats_of(hf.norm.weight));
}

void expect_same(const std::vector<TensorView>& gguf, const std::vector<TensorView>& hf) {
  ASSERT_EQ(gguf.size(), hf.size());
  for (size_t i = 0; i < gguf.size(); ++i) {
    EXPECT_EQ(to_string(gguf[i]), to_string(hf[i]));
    EXPECT_EQ(floats_of(gguf[i]), floats_of(hf[i])) << gguf[i].name << ", " << hf[i].name;
  }
}

TEST(Qwen3_5, BothFormatsHoldTheSameTensors) {
  const auto gguf = load_gguf(), hf = load_hf();
  expect_same({gguf->spec.embedding, gguf->spec.final_norm.weight, gguf->spec.head.weight},
              {hf->spec.embedding, hf->spec.final_norm.weight, hf->spec.head.weight});
  for (size_t i = 0; i < 8; ++i) {
    LayerSpec a = gguf->spec.layers[i], b = hf->spec.layers[i];
    if (i % 4 != 3) {
      expect_same(std::get<DeltaNet>(a.mixer), std::get<DeltaNet>(b.mixer));
      a.mixer = b.mixer = Attention();  // leaves the rest to be compared
    }
    expect_same(layer_tensors(a), layer_tensors(b));
  }
}

std::string log_of(const std::function<void()>& what) {
  EXPECT_TRUE(init_logging("info", "text").ok());
  ::testing::internal::CaptureStderr();
  what();
  return ::testing::internal::GetCapturedStderr();
}

void expect_same(const ModelSpec& a, const ModelSpec& b) {
  EXPECT_EQ(a.architecture, b.architecture);
  EXPECT_EQ(a.context_length, b.context_length);
  EXPECT_EQ(a.tied_head, b.tied_head);
  expect_same({a.embedding, a.final_norm.weight, a.head.weight},
              {b.embedding, b.final_norm.weight, b.head.weight});
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (size_t i = 0; i < a.layers.size(); ++i) {
    ASSERT_EQ(a.layers[i].mixer.index(), b.layers[i].mixer.index());
    expect_same(layer_tensors(a.layers[i]), layer_tensors(b.layers[i]));
  }
  const Rope &one = std::get<Attention>(a.layers[3].mixer).rope,
             &other = std::get<Attention>(b.layers[3].mixer).rope;
  EXPECT_EQ(one.inverse_frequencies, other.inverse_frequencies);
}

TEST(Qwen3_5, AVisionLanguageCheckpointIsItsLanguageModel) {
  TinyQwen3_5 tiny;
  const auto plain = tiny.load();
  ASSERT_TRUE(plain.ok()) << plain.status();
  tiny.make_vision_language();
  const std::string log = log_of([&] {
    const auto whole = tiny.load();
    ASSERT_TRUE(whole.ok()) << whole.status();
    expect_same(plain->spec, whole->spec);
    EXPECT_EQ(whole->spec.layers[0].mixer_norm.weight.name,
              "model.language_model.layers.0.input_layernorm.weight");
  });
  EXPECT_THAT(log, HasSubstr("tiny: skipping 3 tensors of the vision tower and 2 of multi-token "
                             "prediction\n"));
  EXPECT_EQ(log_of([] { EXPECT_TRUE(TinyQwen3_5().load().ok()); }), "");
}

// Of the language model or of the whole: released ones say it in both places.
TEST(Qwen3_5, WhoSaysThatTheHeadIsTied) {
  TinyQwen3_5 tiny;
  tiny.make_vision_language();
  auto& inner = tiny.config["text_config"]["tie_word_embeddings"];
  auto& outer = tiny.config["tie_word_embeddings"];
  inner = outer = true;  // the head's own tensor is then left alone
  EXPECT_TRUE(tiny.load()->spec.tied_head);
  inner = nullptr;
  EXPECT_TRUE(tiny.load()->spec.tied_head);
  inner = false;
  EXPECT_FALSE(tiny.load()->spec.tied_head);  // they disagree: there is a tensor
  tiny.file.tensors.erase("lm_head.weight");
  EXPECT_TRUE(tiny.load()->spec.tied_head);
  outer = false;
  EXPECT_THAT(std::string(tiny.load().status().message()), HasSubstr("no tensor lm_head.weight"));
}

TEST(Qwen3_5, SmallTensorsAreWidened) {
  TinyQwen3_5 tiny;
  tiny.file.make_bf16();
  const auto model = tiny.load();
  ASSERT_TRUE(model.ok()) << model.status();
  const auto cut = [](float value) {
    return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xFFFF0000u);
  };
  const TinyQwen3_5 whole;
  const LayerSpec& layer = model->spec.layers[0];
  const auto& net = std::get<DeltaNet>(layer.mixer);
  const std::string block = "model.layers.0.";
  const auto conv = whole.file.values<float>(block + "linear_attn.conv1d.weight");
  EXPECT_EQ(to_string(net.conv), "[128, 4] F32");
  for (size_t i = 0; i < conv.size(); ++i) EXPECT_EQ(floats_of(net.conv)[i], cut(conv[i]));
  const auto norm = whole.file.values<float>(block + "input_layernorm.weight");
  EXPECT_EQ(floats_of(layer.mixer_norm.weight)[5], 1 + cut(norm[5]));
  const auto own_norm = whole.file.values<float>(block + "linear_attn.norm.weight");
  EXPECT_EQ(floats_of(net.norm.weight)[5], cut(own_norm[5]));
  const auto log_rate = whole.file.values<float>(block + "linear_attn.A_log");
  EXPECT_EQ(floats_of(net.decay_rate)[3], -std::exp(cut(log_rate[3])));
}

TEST(Qwen3_5, WithoutLayerTypesEveryFourthLayerIsAttention) {
  TinyQwen3_5 tiny;
  tiny.config.erase("layer_types");
  EXPECT_TRUE(tiny.load().ok()) << tiny.load().status();
  tiny.config["full_attention_interval"] = 3;
  EXPECT_THAT(std::string(tiny.load().status().message()),
              HasSubstr("no tensor model.layers.2.self_attn.q_proj.weight (tiny)"));
}

}  // namespace
}  // namespace mokume
