// The smallest llama that is right, to be made wrong.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "../weights/gguf_builder.h"

namespace mokume::testing {

/// What a small llama's file says; a test changes it before build().
struct SmallLlama {
  uint32_t hidden = 8, heads = 4, kv_heads = 2, head_dim = 4, ffn = 6, vocab = 10, layers = 2;
  std::string architecture = "llama";
  std::string left_out;  ///< a key or tensor that is not written
  std::string replaced;  ///< a tensor that is written with `replaced_dims` and type
  std::vector<uint64_t> replaced_dims;
  uint32_t replaced_type = 0;
  GgufBuilder builder;  ///< what is added here comes first

  std::vector<std::byte> build() {
    text("general.architecture", architecture);
    u32("llama.block_count", layers);
    u32("llama.context_length", 64);
    u32("llama.embedding_length", hidden);
    u32("llama.feed_forward_length", ffn);
    u32("llama.attention.head_count", heads);
    u32("llama.attention.head_count_kv", kv_heads);
    u32("llama.attention.key_length", head_dim);
    if (left_out != kEpsilon) builder.f32(kEpsilon, 1e-5f);
    tensor("token_embd.weight", {hidden, vocab});
    tensor("output_norm.weight", {hidden});
    for (uint32_t i = 0; i < layers; ++i) layer("blk." + std::to_string(i) + ".");
    return builder.build();
  }

 private:
  static constexpr const char* kEpsilon = "llama.attention.layer_norm_rms_epsilon";

  void layer(const std::string& block) {
    const uint64_t q = uint64_t{heads} * head_dim;
    const uint64_t kv = uint64_t{kv_heads} * head_dim;
    tensor(block + "attn_norm.weight", {hidden});
    tensor(block + "attn_q.weight", {hidden, q});
    tensor(block + "attn_k.weight", {hidden, kv});
    tensor(block + "attn_v.weight", {hidden, kv});
    tensor(block + "attn_output.weight", {q, hidden});
    tensor(block + "ffn_norm.weight", {hidden});
    tensor(block + "ffn_gate.weight", {hidden, ffn});
    tensor(block + "ffn_up.weight", {hidden, ffn});
    tensor(block + "ffn_down.weight", {ffn, hidden});
  }
  void u32(const std::string& key, uint32_t value) {
    if (key != left_out) builder.u32(key, value);
  }
  void text(const std::string& key, const std::string& value) {
    if (key != left_out) builder.text(key, value);
  }
  void tensor(const std::string& name, std::vector<uint64_t> dims) {
    if (name == left_out) return;
    if (name != replaced) {
      builder.f32_tensor(name, std::move(dims));
      return;
    }
    uint64_t count = 1;
    for (const uint64_t dim : replaced_dims) count *= dim;
    // Four bytes an element are enough for any type; the reader takes what it needs.
    builder.tensor(name, replaced_dims, replaced_type, std::vector<std::byte>(count * 4));
  }
};

}  // namespace mokume::testing
