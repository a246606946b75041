// Softmax attention on the CPU.
#include <cstring>

#include "device/cpu/cpu_stage.h"
#include "device/cpu/rows.h"
#include "device/cpu/thread_pool.h"

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

/// Pieces of attention of which each thread has its fair share.
constexpr size_t kItemsOfAThread = 4;

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
    program.add(StageOp(*this, layer, &CpuStage::count_merged_items, 1, &CpuStage::merge_parts));
  } else {
    program.add(
        StageOp(*this, layer, &CpuStage::count_tokens, kRowGrain, &CpuStage::project_in_place));
    program.add(
        StageOp(*this, layer, &CpuStage::count_attention_items, 1, &CpuStage::attend_in_place));
  }
  plan_mixer_output(program, layer, mixer.o, &CpuStage::fill_attended_row);
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

// Whether the context's parts are work of their own: where heads and sequences are too few to keep
// all threads equally busy. The result is the same bits (docs/adr/0022).
bool CpuStage::splits(int layer) const {
  const auto kv_heads = static_cast<size_t>(attention_weights(layer).spec->kv_heads);
  const size_t items = attention_items_.size(), parts = attention_parts_.size();
  const size_t threads = space_.threads.size();
  return threads > 1 && items * kv_heads < kItemsOfAThread * threads && parts > items &&
         parts * kv_heads <= ThreadPool::kMostCommits;
}

int CpuStage::count_attention_items(int layer) const {
  const size_t items = splits(layer) ? attention_parts_.size() : attention_items(layer).size();
  return static_cast<int>(items) * attention_weights(layer).spec->kv_heads;
}

void CpuStage::copy_queries(int layer, int thread) const {
  copy_shared(space_.q, own(thread).input.rows, tokens() * attention_weights(layer).q.matrix.rows);
}

void CpuStage::attend(int layer, int thread, int begin, int end) const {
  if (splits(layer)) return attend_parts(layer, thread, begin, end);
  const int kv_heads = attention_weights(layer).spec->kv_heads;
  for (int i = begin; i < end; ++i) {
    const AttentionItem& item = attention_items_[i / kv_heads];
    kernels_.attention(attention_args(layer, item, own(thread).input.rows, own(thread).out),
                       i % kv_heads, item.token_begin, item.token_end);
  }
}

void CpuStage::attend_in_place(int layer, int, int begin, int end) const {
  const int kv_heads = attention_weights(layer).spec->kv_heads;
  for (int i = begin; i < end; ++i) {
    const AttentionItem& item = attention_items(layer)[i / kv_heads];
    kernels_.attention(attention_args(layer, item, space_.q, space_.mixed), i % kv_heads,
                       item.token_begin, item.token_end);
  }
}

// q and out have all of the step's tokens.
kernels::AttentionArgs CpuStage::attention_args(int layer, const AttentionItem& item,
                                                const float* q, float* out) const {
  const AttentionWeights& mixer = attention_weights(layer);
  const Attention& spec = *mixer.spec;
  const SequenceSlice& slice = step_.sequences[item.sequence];
  const auto first = static_cast<size_t>(slice.first_token);
  const size_t width = static_cast<size_t>(spec.heads) * spec.head_dim;
  const auto q_stride = static_cast<size_t>(mixer.q.matrix.rows);
  return {q + first * q_stride, q_stride,   out + first * width,  width,
          spec.heads,           spec.scale, slice.first_position, slice.pages.data(),
          kv_pages(layer, spec)};
}

void CpuStage::store_attended(int layer, int thread, int begin, int end) const {
  if (splits(layer)) return store_parts(layer, thread, begin, end);
  for (int i = begin; i < end; ++i) store_outputs(layer, thread, i);
}

void CpuStage::store_outputs(int layer, int thread, int index) const {
  const Attention& spec = *attention_weights(layer).spec;
  const int group = spec.heads / spec.kv_heads * spec.head_dim;
  const AttentionItem& item = attention_items_[index / spec.kv_heads];
  const int first = step_.sequences[item.sequence].first_token;
  for (int t = first + item.token_begin; t < first + item.token_end; ++t) {
    const size_t at = static_cast<size_t>(t) * spec.heads * spec.head_dim +
                      static_cast<size_t>(index % spec.kv_heads) * group;
    copy_shared(own(thread).out + at, space_.mixed + at, group);
  }
}

// Of one head of the keys: [parts][tokens][heads of the group].
kernels::AttentionStates CpuStage::part_states(int layer, const AttentionItem& item,
                                               int kv_head) const {
  const Attention& spec = *attention_weights(layer).spec;
  const size_t group = spec.heads / spec.kv_heads * kernels::attention_state_floats(spec.head_dim);
  const size_t stride = static_cast<size_t>(item.tokens()) * group;
  float* data = space_.states + static_cast<size_t>(item.first_row) * group * spec.kv_heads;
  return {data + static_cast<size_t>(kv_head) * item.parts * stride, stride};
}

void CpuStage::attend_parts(int layer, int thread, int begin, int end) const {
  const int kv_heads = attention_weights(layer).spec->kv_heads;
  for (int i = begin; i < end; ++i) {
    const AttentionPart& part = attention_parts_[i / kv_heads];
    const AttentionItem& item = attention_items_[part.item];
    kernels_.attention_part(attention_args(layer, item, own(thread).input.rows, nullptr),
                            i % kv_heads, item.token_begin, item.token_end, part.part,
                            {own(thread).out, 0});
  }
}

void CpuStage::store_parts(int layer, int thread, int begin, int end) const {
  const int kv_heads = attention_weights(layer).spec->kv_heads;
  for (int i = begin; i < end; ++i) {
    const AttentionPart& part = attention_parts_[i / kv_heads];
    const auto states = part_states(layer, attention_items_[part.item], i % kv_heads);
    copy_shared(own(thread).out, states.data + part.part * states.part_stride,
                static_cast<int>(states.part_stride));
  }
}

int CpuStage::count_merged_items(int layer) const {
  if (!splits(layer)) return 0;
  return static_cast<int>(attention_items_.size()) * attention_weights(layer).spec->kv_heads;
}

// Not repeatable, so that the states need not be copied: nobody writes them meanwhile.
void CpuStage::merge_parts(int layer, int thread, int begin, int end) const {
  const int kv_heads = attention_weights(layer).spec->kv_heads;
  for (int i = begin; i < end; ++i) {
    const AttentionItem& item = attention_items_[i / kv_heads];
    kernels_.attention_merge(attention_args(layer, item, space_.q, own(thread).out), i % kv_heads,
                             item.token_begin, item.token_end,
                             part_states(layer, item, i % kv_heads));
    store_outputs(layer, thread, i);
  }
}

void CpuStage::fill_attended_row(int layer, int row, float* out, float* spare) const {
  const Attention& spec = *attention_weights(layer).spec;
  const int width = spec.heads * spec.head_dim;
  const size_t at = static_cast<size_t>(token_of_row(layer, row)) * width;
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
