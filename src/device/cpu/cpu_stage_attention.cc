// Softmax attention on the CPU.
#include <cstring>

#include "device/cpu/cpu_stage.h"
#include "device/cpu/rows.h"

namespace mokume {
namespace {

// [query | gate] of every head in `row` to queries side by side in front, gates in `gates`.
void split_gates(const Attention& spec, float* row, float* gates) {
  const auto width = static_cast<size_t>(spec.head_dim);
  for (size_t h = 0; h < static_cast<size_t>(spec.heads); ++h) {
    const float* head = row + 2 * h * width;
    std::memcpy(gates + h * width, head + width, width * sizeof(float));
    std::memmove(row + h * width, head, width * sizeof(float));
  }
}

}  // namespace

void CpuStage::run_mixer(const StageStep& step, int layer, const AttentionWeights& mixer,
                         float* hidden) {
  const Attention& spec = *mixer.spec;
  const int tokens = static_cast<int>(step.token_ids.size());
  const size_t width = static_cast<size_t>(spec.heads) * spec.head_dim;
  const size_t q_stride = static_cast<size_t>(mixer.q.matrix.rows);
  const size_t kv_width = static_cast<size_t>(spec.kv_heads) * spec.head_dim;
  // An error in a key goes into the exponent of every later token's attention, and the keys are
  // few: of all products, this is where more bits gain the most (docs/adr/0012).
  multiply({{&mixer.q, {space_.q, q_stride, false}},
            {&mixer.k, {space_.k, kv_width, false}, true},
            {&mixer.v, {space_.v, kv_width, false}}},
           space_.normed, tokens);
  project_attention(step, layer, mixer);

  const int items = static_cast<int>(attention_items_.size()) * spec.kv_heads;
  pool_.run(items, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const AttentionItem& item = attention_items_[i / spec.kv_heads];
      const SequenceSlice& slice = step.sequences[item.sequence];
      const auto first = static_cast<size_t>(slice.first_token);
      const kernels::AttentionArgs args{space_.q + first * q_stride,
                                        q_stride,
                                        space_.normed + first * width,
                                        width,
                                        spec.heads,
                                        spec.scale,
                                        slice.first_position,
                                        slice.pages.data(),
                                        kv_pages(layer, spec)};
      kernels_.attention(args, i % spec.kv_heads, item.token_begin, item.token_end);
    }
  });
  if (spec.output_gate) {
    pool_.run(tokens, kRowGrain, [&](int begin, int end) {
      const size_t at = static_cast<size_t>(begin) * width;
      kernels_.sigmoid_mul(space_.normed + at, space_.gate + at,
                           static_cast<int>(width) * (end - begin));
    });
  }
  multiply({{&mixer.o, {hidden, static_cast<size_t>(widths_.hidden), true}}}, space_.normed,
           tokens);
  add_biases(mixer.o, hidden, tokens);
}

// Biases, gates, norms and rope of every token's heads; keys and values go to their pages.
void CpuStage::project_attention(const StageStep& step, int layer, const AttentionWeights& mixer) {
  const Attention& spec = *mixer.spec;
  const int width = spec.heads * spec.head_dim, kv_width = spec.kv_heads * spec.head_dim;
  const int q_rows = mixer.q.matrix.rows;
  int table = 0;
  for (int i = 0; i < mixer.rope_table; ++i) table += weights_.ropes[i]->dims;
  const kernels::KvPages pages = kv_pages(layer, spec);
  pool_.run(static_cast<int>(step.token_ids.size()), kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* q = space_.q + static_cast<size_t>(t) * q_rows;
      float* k = space_.k + static_cast<size_t>(t) * kv_width;
      float* v = space_.v + static_cast<size_t>(t) * kv_width;
      add_bias(q, mixer.q.bias, q_rows);
      add_bias(k, mixer.k.bias, kv_width);
      add_bias(v, mixer.v.bias, kv_width);
      if (spec.output_gate) split_gates(spec, q, space_.gate + static_cast<size_t>(t) * width);
      normalize_heads(mixer.q_norm, q, spec.heads, spec.head_dim);
      normalize_heads(mixer.k_norm, k, spec.kv_heads, spec.head_dim);
      const float* cos_sin = space_.cos_sin + static_cast<size_t>(t) * widths_.rope + table;
      kernels_.rope(q, spec.heads, spec.head_dim, spec.rope.dims, spec.rope.interleaved, cos_sin);
      kernels_.rope(k, spec.kv_heads, spec.head_dim, spec.rope.dims, spec.rope.interleaved,
                    cos_sin);
      const SequenceSlice& slice = step.sequences[token_sequence_[t]];
      const int position = slice.first_position + t - slice.first_token;
      kernels_.kv_append(pages, slice.pages[position / options_.page_tokens],
                         position % options_.page_tokens, k, v);
    }
  });
}

void CpuStage::normalize_heads(const NormWeights& norm, float* row, int heads, int head_dim) const {
  if (!norm.weight) return;
  for (int h = 0; h < heads; ++h) {
    float* head = row + static_cast<size_t>(h) * head_dim;
    kernels_.rms_norm(head, norm.weight, norm.epsilon, head_dim, head);
  }
}

kernels::KvPages CpuStage::kv_pages(int layer, const Attention& spec) const {
  return {keys_[layer].as<void>(), values_[layer].as<void>(),
          options_.exact,          options_.page_tokens,
          spec.kv_heads,           spec.head_dim};
}

}  // namespace mokume
