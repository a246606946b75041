#include "model/load_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mokume {
namespace {

std::string data_file(const std::string& name) {
  return MOKUME_SOURCE_DIR "/tests/data/gguf/" + name;
}

TEST(LoadSpec, TinyLlama) {
  const auto file = GgufFile::open(data_file("tiny-llama.gguf"));
  ASSERT_TRUE(file.ok()) << file.status();
  const Result<ModelSpec> spec = load_spec(**file);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->name, "Tiny Llama");
  EXPECT_EQ(spec->architecture, "llama");
  EXPECT_EQ(spec->vocab_size, 512);
  EXPECT_EQ(spec->hidden_size, 64);
  EXPECT_EQ(spec->context_length, 512);
  EXPECT_EQ(spec->layers.size(), 4u);
  EXPECT_TRUE(spec->tied_head);
  EXPECT_EQ(spec->head.weight.data, spec->embedding.data);
  const auto& attention = std::get<Attention>(spec->layers[3].mixer);
  EXPECT_EQ(attention.heads, 4);
  EXPECT_EQ(attention.kv_heads, 2);
  EXPECT_EQ(attention.head_dim, 16);
  EXPECT_FLOAT_EQ(attention.scale, 0.25f);
  EXPECT_EQ(attention.k.weight.name, "blk.3.attn_k.weight");
  EXPECT_EQ(to_string(attention.k.weight), "[32, 64] F32");
  EXPECT_FALSE(attention.k.bias);
  EXPECT_TRUE(attention.rope.interleaved);
  EXPECT_EQ(attention.rope.dims, 16);
  const auto& ffn = std::get<SwiGlu>(spec->layers[0].ffn);
  EXPECT_EQ(ffn.hidden, 160);
  EXPECT_EQ(to_string(ffn.down.weight), "[64, 160] F32");
  EXPECT_FLOAT_EQ(spec->final_norm.epsilon, 1e-6f);
}

TEST(LoadSpec, TinyQwen2) {
  const auto file = GgufFile::open(data_file("tiny-qwen2.gguf"));
  ASSERT_TRUE(file.ok()) << file.status();
  const Result<ModelSpec> spec = load_spec(**file);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->architecture, "qwen2");
  EXPECT_FALSE(spec->tied_head);
  const auto& attention = std::get<Attention>(spec->layers[3].mixer);
  EXPECT_EQ(to_string(attention.k.bias), "[32] F32");
  EXPECT_FALSE(attention.o.bias);
  EXPECT_FALSE(attention.q_norm);
  EXPECT_FALSE(attention.rope.interleaved);
}

TEST(LoadSpec, TinyQwen3) {
  const auto file = GgufFile::open(data_file("tiny-qwen3.gguf"));
  ASSERT_TRUE(file.ok()) << file.status();
  const Result<ModelSpec> spec = load_spec(**file);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->architecture, "qwen3");
  const auto& attention = std::get<Attention>(spec->layers[0].mixer);
  EXPECT_EQ(attention.head_dim, 32);
  EXPECT_EQ(to_string(attention.q.weight), "[128, 64] F32");
  ASSERT_TRUE(attention.q_norm && attention.k_norm);
  EXPECT_EQ(attention.q_norm->weight.name, "blk.0.attn_q_norm.weight");
  EXPECT_EQ(to_string(attention.k_norm->weight), "[32] F32");
  EXPECT_FALSE(attention.rope.interleaved);
}

}  // namespace
}  // namespace mokume
