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

const AttentionWeights& CpuStage::attention_weights(int layer) const {
  return std::get<AttentionWeights>(weights_.layers[layer].mixer);
}

void CpuStage::plan_mixer(Program& program, int layer, const AttentionWeights& mixer) const {
  // An error in a key goes into the exponent of every later token's attention, and the keys are
  // few: of all products, this is where more bits gain the most (docs/adr/0012).
  multiply(program,
           {layer,
            &CpuStage::count_tokens,
            &CpuStage::fill_mixer_row,
            {{{&mixer.q, &space_.q}, {&mixer.k, &space_.k, false, true}, {&mixer.v, &space_.v}}},
            3});
  if (program.few) {
    program.add(StageOp(*this, layer, &CpuStage::count_tokens, nullptr, &CpuStage::project,
                        &CpuStage::store_projected));
    program.add(StageOp(*this, layer, &CpuStage::count_attention_items, &CpuStage::copy_queries,
                        &CpuStage::attend, &CpuStage::store_attended));
  } else {
    program.add(
        StageOp(*this, layer, &CpuStage::count_tokens, kRowGrain, &CpuStage::project_in_place));
    program.add(
        StageOp(*this, layer, &CpuStage::count_attention_items, 1, &CpuStage::attend_in_place));
  }
  multiply(program, {layer,
                     &CpuStage::count_tokens,
                     &CpuStage::fill_attended_row,
                     {{{&mixer.o, &hidden_, true}}},
                     1});
}

// Gates, norms and rope of a token's heads: q, k and v one behind the other in the thread's memory.
void CpuStage::project(int layer, int thread, int token, int) const {
  const AttentionWeights& mixer = attention_weights(layer);
  const Attention& spec = *mixer.spec;
  const int q_rows = mixer.q.matrix.rows, kv_width = spec.kv_heads * spec.head_dim;
  const auto t = static_cast<size_t>(token);
  float *q = own(thread).out, *k = q + q_rows, *v = k + kv_width;
  copy_row(few_, space_.q + t * q_rows, q, q_rows);
  copy_row(few_, space_.k + t * kv_width, k, kv_width);
  copy_row(few_, space_.v + t * kv_width, v, kv_width);
  if (spec.output_gate) split_gates(spec, q, own(thread).spare);
  normalize_heads(mixer.q_norm, q, spec.heads, spec.head_dim);
  normalize_heads(mixer.k_norm, k, spec.kv_heads, spec.head_dim);
  int table = 0;
  for (int i = 0; i < mixer.rope_table; ++i) table += weights_.ropes[i]->dims;
  const float* cos_sin = space_.cos_sin + t * widths_.rope + table;
  kernels_.rope(q, spec.heads, spec.head_dim, spec.rope.dims, spec.rope.interleaved, cos_sin);
  kernels_.rope(k, spec.kv_heads, spec.head_dim, spec.rope.dims, spec.rope.interleaved, cos_sin);
}

// Queries and gates to where they came from, keys and values to their page.
void CpuStage::store_projected(int layer, int thread, int token, int) const {
  const AttentionWeights& mixer = attention_weights(layer);
  const Attention& spec = *mixer.spec;
  const int width = spec.heads * spec.head_dim, q_rows = mixer.q.matrix.rows;
  const float* row = own(thread).out;
  const auto t = static_cast<size_t>(token);
  copy_row(few_, row, space_.q + t * q_rows, width);
  if (spec.output_gate) copy_row(few_, own(thread).spare, space_.gate + t * width, width);
  const SequenceSlice& slice = step_.sequences[token_sequence_[token]];
  const int position = slice.first_position + token - slice.first_token;
  kernels_.kv_append(kv_pages(layer, spec), slice.pages[position / options_.page_tokens],
                     position % options_.page_tokens, row + q_rows,
                     row + q_rows + spec.kv_heads * spec.head_dim);
}

void CpuStage::project_in_place(int layer, int thread, int begin, int end) const {
  for (int t = begin; t < end; ++t) {
    project(layer, thread, t, t + 1);
    store_projected(layer, thread, t, t + 1);
  }
}

int CpuStage::count_attention_items(int layer) const {
  return static_cast<int>(attention_items_.size()) * attention_weights(layer).spec->kv_heads;
}

void CpuStage::copy_queries(int layer, int thread) const {
  copy_shared(space_.q, own(thread).input.rows, tokens() * attention_weights(layer).q.matrix.rows);
}

void CpuStage::attend(int layer, int thread, int begin, int end) const {
  for (int i = begin; i < end; ++i) attend_item(layer, i, own(thread).input.rows, own(thread).out);
}

void CpuStage::attend_in_place(int layer, int, int begin, int end) const {
  for (int i = begin; i < end; ++i) attend_item(layer, i, space_.q, space_.mixed);
}

// One head of the keys for one stretch of tokens; q and out have all of the step's tokens.
void CpuStage::attend_item(int layer, int item, const float* q, float* out) const {
  const AttentionWeights& mixer = attention_weights(layer);
  const Attention& spec = *mixer.spec;
  const AttentionItem& stretch = attention_items_[item / spec.kv_heads];
  const SequenceSlice& slice = step_.sequences[stretch.sequence];
  const auto first = static_cast<size_t>(slice.first_token);
  const size_t width = static_cast<size_t>(spec.heads) * spec.head_dim;
  const auto q_stride = static_cast<size_t>(mixer.q.matrix.rows);
  const kernels::AttentionArgs args{
      q + first * q_stride, q_stride,           out + first * width,  width, spec.heads, spec.scale,
      slice.first_position, slice.pages.data(), kv_pages(layer, spec)};
  kernels_.attention(args, item % spec.kv_heads, stretch.token_begin, stretch.token_end);
}

void CpuStage::store_attended(int layer, int thread, int begin, int end) const {
  const Attention& spec = *attention_weights(layer).spec;
  const int group = spec.heads / spec.kv_heads * spec.head_dim;
  for (int i = begin; i < end; ++i) {
    const AttentionItem& stretch = attention_items_[i / spec.kv_heads];
    const int first = step_.sequences[stretch.sequence].first_token;
    for (int t = first + stretch.token_begin; t < first + stretch.token_end; ++t) {
      const size_t at = static_cast<size_t>(t) * spec.heads * spec.head_dim +
                        static_cast<size_t>(i % spec.kv_heads) * group;
      copy_shared(own(thread).out + at, space_.mixed + at, group);
    }
  }
}

void CpuStage::fill_attended_row(int layer, int row, float* out, float* spare) const {
  const Attention& spec = *attention_weights(layer).spec;
  const int width = spec.heads * spec.head_dim;
  const size_t at = static_cast<size_t>(row) * width;
  copy_row(few_, space_.mixed + at, out, width);
  if (spec.output_gate)
    kernels_.sigmoid_mul(out, read_row(few_, space_.gate + at, spare, width), width);
}

void CpuStage::normalize_heads(const NormWeights& norm, float* row, int heads, int head_dim) const {
  if (!norm.weight) return;
  for (int h = 0; h < heads; ++h) {
    float* head = row + static_cast<size_t>(h) * head_dim;
    kernels_.rms_norm(head, norm.weight, norm.epsilon, head_dim, head);
  }
}

kernels::KvPages CpuStage::kv_pages(int layer, const Attention& spec) const {
  // The two enums name the same types in the same order.
  static_assert(static_cast<int>(KvType::kInt8) == static_cast<int>(kernels::KvType::kInt8));
  kernels::KvPages pages;
  pages.type = static_cast<kernels::KvType>(options_.kv_type(kCpuKvType));
  pages.page_tokens = options_.page_tokens;
  pages.kv_heads = spec.kv_heads;
  pages.head_dim = spec.head_dim;
  pages.keys = keys_[layer].as<void>();
  pages.values = values_[layer].as<void>();
  if (has_scales(options_.kv_type(kCpuKvType))) {  // behind all elements
    const size_t bytes = static_cast<size_t>(options_.kv_pages) * pages.page_elements() *
                         element_bytes(options_.kv_type(kCpuKvType));
    pages.key_scales = reinterpret_cast<float*>(keys_[layer].as<uint8_t>() + bytes);
    pages.value_scales = reinterpret_cast<float*>(values_[layer].as<uint8_t>() + bytes);
  }
  return pages;
}

}  // namespace mokume
