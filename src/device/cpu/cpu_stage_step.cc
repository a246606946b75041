// How a CPU stage runs one step, from the embedding to the logits.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/check_step.h"
#include "device/cpu/cpu_stage.h"
#include "device/cpu/rows.h"

namespace mokume {
namespace {

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

}  // namespace

Status CpuStage::run_step(const StageStep& step) {
  MKM_RETURN_IF_ERROR(check_step("cpu", step, options_));
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

// What all layers of the step share: cosines and sines, and how attention is cut into pieces.
void CpuStage::prepare(const StageStep& step) {
  reset_states(step);
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

// A sequence starts with states of zeros.
void CpuStage::reset_states(const StageStep& step) {
  pool_.run(static_cast<int>(states_.size()), 1, [&](int begin, int end) {
    for (int layer = begin; layer < end; ++layer) {
      const size_t bytes =
          states_[layer].bytes() / static_cast<size_t>(std::max(1, options_.state_slots));
      for (const SequenceSlice& slice : step.sequences) {
        if (bytes > 0 && slice.first_position == 0)
          std::memset(state(layer, slice.state_slot), 0, bytes);
      }
    }
  });
}

void CpuStage::run_layer(const StageStep& step, int layer, float* hidden) {
  const LayerWeights& weights = weights_.layers[layer];
  const int tokens = static_cast<int>(step.token_ids.size());
  normalize(weights.mixer_norm, hidden, tokens);
  std::visit([&](const auto& mixer) { run_mixer(step, layer, mixer, hidden); }, weights.mixer);
  run_ffn(tokens, weights.ffn, weights.ffn_norm, hidden);
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

void CpuStage::run_product(const Product& product, int panel_begin, int panel_end, const float* x,
                           int tokens) const {
  const kernels::PackedMatrix& w = product.linear->matrix;
  const kernels::QuantizedRows quantized = space_.quantized(w.columns);
  if (!takes_int8(*product.linear)) {
    kernels_.matmul_f32(w, panel_begin, panel_end, x, w.columns, tokens, product.out);
  } else if (!product.twice) {
    kernels_.matmul_int8(w, panel_begin, panel_end, quantized, tokens, product.out);
  } else {
    kernels::MatmulOutput added = product.out;
    added.accumulate = true;
    for (int panel = panel_begin; panel < panel_end; ++panel) {  // while it is in the cache
      kernels_.matmul_int8(w, panel, panel + 1, quantized, tokens, product.out);
      kernels_.matmul_int8(w, panel, panel + 1, space_.residuals(w.columns), tokens, added);
    }
  }
}

void CpuStage::observe(std::initializer_list<Product> products, const float* x, int tokens) const {
  std::vector<const Linear*> linears;
  for (const Product& p : products) linears.push_back(p.linear->source);
  const auto columns = static_cast<size_t>(products.begin()->linear->matrix.columns);
  options_.observe(linears, {x, static_cast<size_t>(tokens) * columns}, tokens);
}

void CpuStage::multiply(std::initializer_list<Product> products, const float* x, int tokens) {
  const int columns = products.begin()->linear->matrix.columns;
  if (options_.observe) observe(products, x, tokens);
  const auto quantizes = [&](const Product& p) { return takes_int8(*p.linear); };
  const bool twice = std::any_of(products.begin(), products.end(),
                                 [&](const Product& p) { return p.twice && quantizes(p); });
  if (std::any_of(products.begin(), products.end(), quantizes)) {
    const kernels::QuantizedRows quantized = space_.quantized(columns);
    pool_.run(tokens, kRowGrain, [&](int begin, int end) {
      const float* rows = x + static_cast<size_t>(begin) * columns;
      kernels_.quantize_rows(rows, columns, end - begin, columns, begin, quantized);
      if (!twice) return;
      kernels_.quantize_residuals(rows, columns, end - begin, columns, begin, quantized,
                                  space_.residuals(columns));
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
      if (from < to) run_product(p, from, to, x, tokens);
    }
  });
}

}  // namespace mokume
