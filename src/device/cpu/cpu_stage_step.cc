// How a CPU stage runs one step, from the embedding to the logits.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/cpu/cpu_stage.h"

namespace mokume {
namespace {

// Rows of a piece of row-wise work: a single token stays on the calling thread.
constexpr int kRowGrain = 4;
// Tokens of a piece of attention: a few tiles of query rows.
constexpr int kAttentionTokens = 16;
// Pieces that each thread's share of a product is cut into.
constexpr int kChunksPerThread = 8;

// Angles as the model was trained with them: the product of position and frequency rounds to float.
void fill_cos_sin(const Rope& rope, int position, float* out) {
  const int half = rope.dims / 2;
  for (int i = 0; i < half; ++i) {
    const float angle = static_cast<float>(position) * rope.inverse_frequencies[i];
    out[i] = static_cast<float>(std::cos(double{angle})) * rope.magnitude;
    out[half + i] = static_cast<float>(std::sin(double{angle})) * rope.magnitude;
  }
}

void add_bias(float* row, const float* bias, int columns) {
  if (!bias) return;
  for (int i = 0; i < columns; ++i) row[i] += bias[i];
}

}  // namespace

Status CpuStage::run_step(const StageStep& step) {
  MKM_RETURN_IF_ERROR(check(step));
  prepare(step);
  float* hidden = options_.has_head ? space_.hidden : step.hidden_out;
  const int tokens = static_cast<int>(step.token_ids.size());
  const int width = widths_.hidden;
  if (weights_.embedding) {
    pool_.run(tokens, kRowGrain, [&](int begin, int end) {
      for (int t = begin; t < end; ++t) {
        dequantize_row(*weights_.embedding, step.token_ids[t],
                       {hidden + static_cast<size_t>(t) * width, static_cast<size_t>(width)});
      }
    });
  } else {
    std::memcpy(hidden, step.hidden_in, static_cast<size_t>(tokens) * width * sizeof(float));
  }
  for (size_t i = 0; i < weights_.layers.size(); ++i) run_layer(step, static_cast<int>(i), hidden);
  if (options_.has_head && !step.logit_rows.empty()) run_head(step, hidden);
  return absl::OkStatus();
}

// The engine promises all of this; a broken promise must not become a stray write.
Status CpuStage::check(const StageStep& step) const {
  const int tokens = static_cast<int>(step.token_ids.size());
  if (tokens == 0 || tokens > options_.max_tokens) {
    return invalid_argument("cpu", "a step of ", tokens, " tokens; 1..", options_.max_tokens,
                            " fit");
  }
  if (static_cast<int>(step.logit_rows.size()) > options_.max_logit_rows) {
    return invalid_argument("cpu", "a step with ", step.logit_rows.size(), " rows of logits; ",
                            options_.max_logit_rows, " fit");
  }
  int next = 0;
  for (const SequenceSlice& slice : step.sequences) {
    const int64_t end = int64_t{slice.first_position} + slice.token_count;
    const bool pages_fit = end <= static_cast<int64_t>(slice.pages.size()) * options_.page_tokens &&
                           std::all_of(slice.pages.begin(), slice.pages.end(), [&](int page) {
                             return page >= 0 && page < options_.kv_pages;
                           });
    if (slice.first_token != next || slice.token_count <= 0 || slice.first_position < 0 ||
        !pages_fit) {
      return invalid_argument("cpu", "a sequence's slice at token ", slice.first_token,
                              " does not fit its pages");
    }
    next += slice.token_count;
  }
  if (next != tokens)
    return invalid_argument("cpu", "slices cover ", next, " of ", tokens, " tokens");
  const auto bad_row = [&](int row) { return row < 0 || row >= tokens; };
  if (std::any_of(step.logit_rows.begin(), step.logit_rows.end(), bad_row)) {
    return invalid_argument("cpu", "logits wanted of a token that is not in the step");
  }
  const auto bad_id = [&](int id) { return id < 0 || id >= options_.model->spec.vocab_size; };
  if (weights_.embedding && std::any_of(step.token_ids.begin(), step.token_ids.end(), bad_id)) {
    return invalid_argument("cpu", "a token id is outside the vocabulary");
  }
  return absl::OkStatus();
}

// What all layers of the step share: cosines and sines, and how attention is cut into pieces.
void CpuStage::prepare(const StageStep& step) {
  attention_items_.clear();
  for (size_t s = 0; s < step.sequences.size(); ++s) {
    const SequenceSlice& slice = step.sequences[s];
    std::fill_n(token_sequence_.begin() + slice.first_token, slice.token_count,
                static_cast<int>(s));
    for (int begin = 0; begin < slice.token_count; begin += kAttentionTokens) {
      const int end = std::min(slice.token_count, begin + kAttentionTokens);
      attention_items_.push_back({static_cast<int>(s), begin, end});
    }
  }
  pool_.run(static_cast<int>(step.token_ids.size()), kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      const SequenceSlice& slice = step.sequences[token_sequence_[t]];
      float* row = space_.cos_sin + static_cast<size_t>(t) * widths_.rope;
      for (const Rope* rope : weights_.ropes) {
        fill_cos_sin(*rope, slice.first_position + t - slice.first_token, row);
        row += rope->dims;
      }
    }
  });
}

void CpuStage::run_layer(const StageStep& step, int layer, float* hidden) {
  const LayerWeights& weights = weights_.layers[layer];
  run_attention(step, layer, hidden);
  run_ffn(static_cast<int>(step.token_ids.size()), weights.ffn, weights.ffn_norm, hidden);
}

void CpuStage::run_attention(const StageStep& step, int layer, float* hidden) {
  const LayerWeights& weights = weights_.layers[layer];
  const Attention& spec = *weights.attention.spec;
  const int tokens = static_cast<int>(step.token_ids.size());
  const size_t q_width = static_cast<size_t>(spec.heads) * spec.head_dim;
  const size_t kv_width = static_cast<size_t>(spec.kv_heads) * spec.head_dim;
  const AttentionWeights& linears = weights.attention;

  normalize(weights.mixer_norm, hidden, tokens);
  multiply({{&linears.q, {space_.q, q_width, false}},
            {&linears.k, {space_.k, kv_width, false}},
            {&linears.v, {space_.v, kv_width, false}}},
           space_.normed, tokens);
  rotate_and_append(step, layer);

  const int items = static_cast<int>(attention_items_.size()) * spec.kv_heads;
  pool_.run(items, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const AttentionItem& item = attention_items_[i / spec.kv_heads];
      const SequenceSlice& slice = step.sequences[item.sequence];
      const size_t first = slice.first_token * q_width;
      const kernels::AttentionArgs args{
          space_.q + first, q_width,    space_.normed + first, q_width,
          spec.heads,       spec.scale, slice.first_position,  slice.pages.data(),
          kv_pages(layer)};
      kernels_.attention(args, i % spec.kv_heads, item.token_begin, item.token_end);
    }
  });
  multiply({{&linears.o, {hidden, static_cast<size_t>(widths_.hidden), true}}}, space_.normed,
           tokens);
  add_biases(linears.o, hidden, tokens);
}

void CpuStage::normalize_heads(const NormWeights& norm, float* row, int heads, int head_dim) const {
  if (!norm.weight) return;
  for (int h = 0; h < heads; ++h) {
    float* head = row + static_cast<size_t>(h) * head_dim;
    kernels_.rms_norm(head, norm.weight, norm.epsilon, head_dim, head);
  }
}

void CpuStage::add_biases(const PackedLinear& linear, float* rows, int count) {
  if (!linear.bias) return;
  const int width = linear.matrix.rows;
  pool_.run(count, kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      add_bias(rows + static_cast<size_t>(t) * width, linear.bias, width);
    }
  });
}

void CpuStage::rotate_and_append(const StageStep& step, int layer) {
  const AttentionWeights& weights = weights_.layers[layer].attention;
  const Attention& spec = *weights.spec;
  const int q_width = spec.heads * spec.head_dim, kv_width = spec.kv_heads * spec.head_dim;
  int table = 0;
  for (int i = 0; i < weights.rope_table; ++i) table += weights_.ropes[i]->dims;
  const kernels::KvPages pages = kv_pages(layer);
  pool_.run(static_cast<int>(step.token_ids.size()), kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* q = space_.q + static_cast<size_t>(t) * q_width;
      float* k = space_.k + static_cast<size_t>(t) * kv_width;
      float* v = space_.v + static_cast<size_t>(t) * kv_width;
      add_bias(q, weights.q.bias, q_width);
      add_bias(k, weights.k.bias, kv_width);
      add_bias(v, weights.v.bias, kv_width);
      normalize_heads(weights.q_norm, q, spec.heads, spec.head_dim);
      normalize_heads(weights.k_norm, k, spec.kv_heads, spec.head_dim);
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

void CpuStage::run_ffn(int tokens, const SwiGluWeights& ffn, const NormWeights& norm,
                       float* hidden) {
  const size_t width = static_cast<size_t>(ffn.hidden);
  normalize(norm, hidden, tokens);
  multiply({{&ffn.gate, {space_.gate, width, false}}, {&ffn.up, {space_.up, width, false}}},
           space_.normed, tokens);
  pool_.run(tokens, kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* gate = space_.gate + t * width;
      float* up = space_.up + t * width;
      add_bias(gate, ffn.gate.bias, ffn.hidden);
      add_bias(up, ffn.up.bias, ffn.hidden);
      kernels_.silu_mul(gate, up, ffn.hidden);
    }
  });
  multiply({{&ffn.down, {hidden, static_cast<size_t>(widths_.hidden), true}}}, space_.gate, tokens);
  add_biases(ffn.down, hidden, tokens);
}

void CpuStage::run_head(const StageStep& step, const float* hidden) {
  const int rows = static_cast<int>(step.logit_rows.size());
  const int width = widths_.hidden;
  for (int r = 0; r < rows; ++r) {
    kernels_.rms_norm(hidden + static_cast<size_t>(step.logit_rows[r]) * width,
                      weights_.final_norm.weight, weights_.final_norm.epsilon, width,
                      space_.normed + static_cast<size_t>(r) * width);
  }
  const size_t vocab = static_cast<size_t>(options_.model->spec.vocab_size);
  multiply({{&weights_.head, {step.logits_out, vocab, false}}}, space_.normed, rows);
  add_biases(weights_.head, step.logits_out, rows);
}

void CpuStage::normalize(const NormWeights& norm, const float* x, int tokens) {
  const int width = widths_.hidden;
  pool_.run(tokens, kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      const size_t row = static_cast<size_t>(t) * width;
      kernels_.rms_norm(x + row, norm.weight, norm.epsilon, width, space_.normed + row);
    }
  });
}

bool CpuStage::takes_int8(const PackedLinear& linear) const {
  return !options_.exact && kernels::is_quantized(linear.matrix.format);
}

void CpuStage::multiply(std::initializer_list<Product> products, const float* x, int tokens) {
  const int columns = products.begin()->linear->matrix.columns;
  const kernels::QuantizedRows quantized = space_.quantized(columns);
  if (std::any_of(products.begin(), products.end(),
                  [&](const Product& p) { return takes_int8(*p.linear); })) {
    pool_.run(tokens, kRowGrain, [&](int begin, int end) {
      kernels_.quantize_rows(x + static_cast<size_t>(begin) * columns, columns, end - begin,
                             columns, begin, quantized);
    });
  }
  int panels = 0;
  for (const Product& p : products) panels += p.linear->matrix.panels();
  const int grain = std::max(1, panels / (pool_.threads() * kChunksPerThread));
  pool_.run(panels, grain, [&](int begin, int end) {
    int first = 0;  // panel of the list where this product's begin
    for (const Product& p : products) {
      const int count = p.linear->matrix.panels();
      const int from = std::clamp(begin - first, 0, count), to = std::clamp(end - first, 0, count);
      first += count;
      if (from == to) continue;
      if (takes_int8(*p.linear)) {
        kernels_.matmul_int8(p.linear->matrix, from, to, quantized, tokens, p.out);
      } else {
        kernels_.matmul_f32(p.linear->matrix, from, to, x, columns, tokens, p.out);
      }
    }
  });
}

kernels::KvPages CpuStage::kv_pages(int layer) const {
  const Attention& spec = *weights_.layers[layer].attention.spec;
  return {keys_[layer].as<void>(), values_[layer].as<void>(),
          options_.exact,          options_.page_tokens,
          spec.kv_heads,           spec.head_dim};
}

}  // namespace mokume
