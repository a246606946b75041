// Qwen3.5 from GGUF and from Hugging Face directories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/load_model.h"
#include "model/memory.h"
#include "reference_forward.h"
#include "tiny_qwen3_5.h"

namespace mokume {
namespace {

using mokume::testing::floats_of;
using mokume::testing::ReferenceForward;

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

// Order of heads, rope, norms, gates: all of it shows in the logits.
TEST(Qwen3_5, TheSpecGivesTheReferencesLogits) {
  for (const auto& model : {load_gguf(), load_hf()}) {
    const auto expected = mokume::testing::expected_logits("hf/tiny-qwen3_5");
    const auto logits = ReferenceForward(model->spec).logits(expected.prompt);
    double worst = 0;
    for (size_t i = 0; i < expected.logits.size(); ++i) {
      const double error = std::fabs(logits[i / 512][i % 512] - expected.logits[i]);
      worst = std::max(worst, error);
    }

    EXPECT_LT(worst, 1e-3);  // 4.4e-4: the reference has float32
  }
}

}  // namespace
}  // namespace mokume
