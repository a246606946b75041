// The smallest qwen35 GGUF file that is right, to be made wrong: a recurrent layer, then attention.
#pragma once

#include <string>
#include <vector>

#include "../weights/gguf_builder.h"

namespace mokume::testing {

/// What the file says; a test changes it before build().
struct SmallQwen3_5 {
  uint32_t hidden = 8, layers = 2, blocks = 2, interval = 2, nextn = 0;
  uint32_t heads = 2, kv_heads = 1, head_dim = 4, rope_dims = 2;
  uint32_t key_heads = 1, value_heads = 2, state_size = 2, inner_size = 4, kernel = 4;
  std::string left_out;  ///< a key or tensor that is not written
  GgufBuilder builder;   ///< what is added here comes first

  std::vector<std::byte> build() {
    builder.text("general.architecture", "qwen35");
    for (const auto& [name, value] :
         std::vector<std::pair<std::string, uint32_t>>{{"block_count", blocks},
                                                       {"context_length", 64},
                                                       {"embedding_length", hidden},
                                                       {"feed_forward_length", 6},
                                                       {"attention.head_count", heads},
                                                       {"attention.head_count_kv", kv_heads},
                                                       {"attention.key_length", head_dim},
                                                       {"rope.dimension_count", rope_dims},
                                                       {"ssm.conv_kernel", kernel},
                                                       {"ssm.state_size", state_size},
                                                       {"ssm.group_count", key_heads},
                                                       {"ssm.time_step_rank", value_heads},
                                                       {"ssm.inner_size", inner_size},
                                                       {"full_attention_interval", interval},
                                                       {"nextn_predict_layers", nextn}}) {
      if (name != left_out) builder.u32("qwen35." + name, value);
    }
    builder.f32("qwen35.attention.layer_norm_rms_epsilon", 1e-5f);
    tensor("token_embd.weight", {hidden, 10});
    tensor("output_norm.weight", {hidden});
    for (uint32_t i = 0; i < layers; ++i) layer("blk." + std::to_string(i) + ".", i % 2 == 0);
    return builder.build();
  }

 private:
  void layer(const std::string& block, bool recurrent) {
    tensor(block + "attn_norm.weight", {hidden});
    tensor(block + "post_attention_norm.weight", {hidden});
    tensor(block + "ffn_gate.weight", {hidden, 6});
    tensor(block + "ffn_up.weight", {hidden, 6});
    tensor(block + "ffn_down.weight", {6, hidden});
    recurrent ? delta_net(block) : attention(block);
  }
  void attention(const std::string& block) {
    const uint64_t q = uint64_t{heads} * head_dim, kv = uint64_t{kv_heads} * head_dim;
    tensor(block + "attn_q.weight", {hidden, 2 * q});
    tensor(block + "attn_k.weight", {hidden, kv});
    tensor(block + "attn_v.weight", {hidden, kv});
    tensor(block + "attn_output.weight", {q, hidden});
    tensor(block + "attn_q_norm.weight", {head_dim});
    tensor(block + "attn_k_norm.weight", {head_dim});
  }
  void delta_net(const std::string& block) {
    const uint64_t channels = uint64_t{2} * key_heads * state_size + inner_size;
    tensor(block + "attn_qkv.weight", {hidden, channels});
    tensor(block + "attn_gate.weight", {hidden, inner_size});
    tensor(block + "ssm_alpha.weight", {hidden, value_heads});
    tensor(block + "ssm_beta.weight", {hidden, value_heads});
    tensor(block + "ssm_conv1d.weight", {kernel, channels});
    tensor(block + "ssm_dt.bias", {value_heads});
    tensor(block + "ssm_a", {value_heads});
    tensor(block + "ssm_norm.weight", {inner_size / value_heads});
    tensor(block + "ssm_out.weight", {inner_size, hidden});
  }
  void tensor(const std::string& name, std::vector<uint64_t> dims) {
    if (name != left_out) builder.f32_tensor(name, std::move(dims));
  }
};

}  // namespace mokume::testing
