#include "device/cuda/workspace.h"

#include <algorithm>

#include "base/checked.h"

namespace mokume::cuda {
namespace {

void widen(const Attention& a, Widths& widths) {
  const int q = a.heads * a.head_dim;
  widths.q = std::max(widths.q, a.output_gate ? 2 * q : q);
  widths.kv = std::max(widths.kv, a.kv_heads * a.head_dim);
  widths.mixed = std::max(widths.mixed, q);
  if (a.output_gate) widths.ffn = std::max(widths.ffn, q);
  widths.attention_heads = std::max(widths.attention_heads, a.heads);
  widths.head_dim = std::max(widths.head_dim, a.head_dim);
}

void widen(const DeltaNet& net, Widths& widths) {
  widths.q = std::max(widths.q, net.channels());
  widths.kv = std::max(widths.kv, net.value_heads);
  widths.mixed = std::max(widths.mixed, net.value_width());
  widths.ffn = std::max(widths.ffn, net.value_width());
  widths.delta_channels = std::max(widths.delta_channels, net.channels());
  widths.value_heads = std::max(widths.value_heads, net.value_heads);
}

uint64_t scratch_floats(const Widths& widths, const PassSize& most) {
  const size_t attention = attention_scratch_floats(kMaxDecodeTokens, widths.attention_heads,
                                                    widths.head_dim, most.positions);
  const size_t delta =
      delta_net_scratch_floats(most.tokens, widths.delta_channels, widths.value_heads);
  return std::max(attention, delta);
}

}  // namespace

Widths widths_of(const StageOptions& options) {
  Widths widths;
  widths.hidden = options.model->spec.hidden_size;
  if (options.has_head) widths.vocab = options.model->spec.vocab_size;
  for (int i = options.first_layer; i < options.last_layer; ++i) {
    const LayerSpec& layer = options.model->spec.layers[i];
    std::visit([&](const auto& mixer) { widen(mixer, widths); }, layer.mixer);
    const int hidden = std::get<SwiGlu>(layer.ffn).hidden;
    widths.ffn = std::max(widths.ffn, hidden);
    widths.mixed = std::max(widths.mixed, hidden);
  }
  return widths;
}

PassSize largest_pass(const StageOptions& options) {
  PassSize most;
  most.tokens = std::max(options.max_tokens, kMaxDecodeTokens);
  most.sequences = std::min(most.tokens, kMaxPassSequences);
  most.rows = std::max(most.tokens, options.max_logit_rows);
  const int64_t context = std::max(options.model->spec.context_length, 1);
  most.pages = static_cast<int>(
      std::min<int64_t>(std::max(options.kv_pages, 1), div_up(context, options.page_tokens)));
  most.positions = most.pages * options.page_tokens;
  return most;
}

Workspace::Workspace(Carver& carver, const Widths& widths, const PassSize& most) {
  const auto rows = [&](int width) {
    return carver.take<float>(static_cast<uint64_t>(most.tokens) * static_cast<uint64_t>(width));
  };
  hidden = rows(widths.hidden);
  normed = rows(widths.hidden);
  q = rows(widths.q);
  queries = rows(widths.mixed);
  k = rows(widths.kv);
  v = rows(widths.kv);
  gate = rows(widths.ffn);
  up = rows(widths.ffn);
  mixed = rows(widths.mixed);
  scratch = carver.take<float>(scratch_floats(widths, most));
  logits = carver.take<float>(static_cast<uint64_t>(kMaxDecodeTokens) *
                              static_cast<uint64_t>(widths.vocab));
}

PassInputs::PassInputs(Carver& carver, const PassSize& size) {
  const auto take = [&](int count) { return carver.take<int32_t>(static_cast<uint64_t>(count)); };
  ids = take(size.tokens);
  positions = take(size.tokens);
  sequences = take(size.tokens);
  first_tokens = take(size.sequences + 1);
  state_slots = take(size.sequences);
  rows = take(size.rows);
  page_table = carver.take<int32_t>(static_cast<uint64_t>(size.sequences) *
                                    static_cast<uint64_t>(size.pages));
  bytes = carver.used();
}

uint64_t input_bytes(const PassSize& size) {
  Carver counting(nullptr);
  return PassInputs(counting, size).bytes;
}

void fill_inputs(const Pass& pass, const StageStep& step, const PassSize& size,
                 const PassInputs& inputs) {
  int token = 0, sequence = 0;
  for (const PassSlice& slice : pass.slices) {
    const SequenceSlice& whole = step.sequences[static_cast<size_t>(slice.sequence)];
    inputs.first_tokens[sequence] = token;
    inputs.state_slots[sequence] = whole.state_slot;
    int32_t* const pages = inputs.page_table + static_cast<ptrdiff_t>(sequence) * size.pages;
    const int held = std::min(size.pages, static_cast<int>(whole.pages.size()));
    std::copy_n(whole.pages.begin(), held, pages);
    std::fill(pages + held, pages + size.pages, 0);
    const int position = whole.first_position + slice.first_token - whole.first_token;
    for (int i = 0; i < slice.token_count; ++i, ++token) {
      inputs.ids[token] = step.token_ids[static_cast<size_t>(slice.first_token + i)];
      inputs.positions[token] = position + i;
      inputs.sequences[token] = sequence;
    }
    ++sequence;
  }
  for (; sequence < size.sequences; ++sequence, ++token) {
    inputs.first_tokens[sequence] = inputs.sequences[token] = sequence;
    inputs.state_slots[sequence] = 0;
    inputs.ids[token] = 0;
    inputs.positions[token] = -1;
    std::fill_n(inputs.page_table + static_cast<ptrdiff_t>(sequence) * size.pages, size.pages, 0);
  }
  inputs.first_tokens[size.sequences] = size.tokens;
  for (int r = 0; r < size.rows; ++r) {
    inputs.rows[r] = rows_are_tokens(pass, size) ? r : pass.rows[static_cast<size_t>(r)].token;
  }
}

}  // namespace mokume::cuda
