#include "device/cpu/workspace.h"

#include <algorithm>

#include "base/checked.h"
#include "device/carver.h"
#include "device/cpu/slice_product.h"

namespace mokume {
namespace {

kernels::QuantizedRows take_quantized(Carver& carver, uint64_t columns) {
  const uint64_t groups = columns / kernels::kGroup;
  kernels::QuantizedRows rows;
  rows.values = carver.take<int8_t>(columns);
  rows.scales = carver.take<float>(groups);
  rows.scaled_sums = carver.take<float>(groups);
  rows.negated_sums = carver.take<int32_t>(groups);
  rows.negated_half_sums = carver.take<int32_t>(2 * groups);
  return rows;
}

kernels::QuantizedRows with_columns(kernels::QuantizedRows rows, int columns) {
  rows.padded_columns = static_cast<int>(round_up(columns, kernels::kBlock));
  return rows;
}

}  // namespace

int StageWidths::widest_input() const { return std::max({hidden, mixed, ffn}); }

kernels::QuantizedRows InputRows::quantized(int columns) const {
  return with_columns(quantized_, columns);
}

kernels::QuantizedRows InputRows::residuals(int columns) const {
  return with_columns(residuals_, columns);
}

kernels::WideRows InputRows::wide(int columns) const {
  kernels::WideRows taken = wide_;
  taken.padded_columns = static_cast<int>(round_up(columns, kernels::kBlock));
  return taken;
}

void Workspace::carve(Carver& carver, const StageWidths& widths, int max_tokens, int thread_count) {
  const auto floats = [&](uint64_t rows, int width) {
    return carver.take<float>(rows * static_cast<uint64_t>(width));
  };
  const int widest = widths.widest_input();
  const auto padded = static_cast<uint64_t>(round_up(widest, kernels::kBlock));
  const auto take_input = [&](InputRows& taken, uint64_t rows) {
    taken.rows = floats(rows, std::max(widest, widths.q));
    taken.quantized_ = take_quantized(carver, rows * padded);
    taken.residuals_ = take_quantized(carver, rows * padded);
    taken.wide_.values = carver.take<int16_t>(rows * padded);
    taken.wide_.scales = carver.take<float>(rows * padded / kernels::kGroup);
    taken.bfloat16 = carver.take<uint16_t>(rows * static_cast<uint64_t>(widest));
  };
  const auto tokens = static_cast<uint64_t>(max_tokens);
  hidden = floats(tokens, widths.hidden);
  finished = floats(tokens, widths.hidden);
  q = floats(tokens, widths.q);
  k = floats(tokens, widths.kv);
  v = floats(tokens, widths.kv);
  mixed = floats(tokens, widths.mixed);
  gate = floats(tokens, widths.ffn);
  up = floats(tokens, widths.ffn);
  cos_sin = floats(tokens, widths.rope);
  states = floats(widths.parts, widths.state);
  take_input(input, tokens);
  threads.resize(static_cast<size_t>(thread_count));
  for (ThreadSpace& own : threads) {
    take_input(own.input, kFewTokens);
    own.spare = floats(1, widest);
    own.sums = floats(SliceProduct::kTokens, SliceProduct::kRows);
    own.out = floats(kFewTokens, std::max({widths.q + 2 * widths.kv, widths.mixed,
                                           widths.group_state, kMostPanels * kernels::kPanelRows}));
  }
}

Result<Workspace> Workspace::create(const StageWidths& widths, int max_tokens, int threads) {
  Workspace space;
  MKM_ASSIGN_OR_RETURN(space.storage_, Buffer::allocate(bytes(widths, max_tokens, threads)));
  Carver carver(space.storage_.as<uint8_t>());
  space.carve(carver, widths, max_tokens, threads);
  return space;
}

uint64_t Workspace::bytes(const StageWidths& widths, int max_tokens, int threads) {
  Carver counter(nullptr);
  Workspace().carve(counter, widths, max_tokens, threads);
  return counter.used();
}

}  // namespace mokume
