#include "device/cpu/workspace.h"

#include <algorithm>

#include "base/checked.h"
#include "device/carver.h"

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

int StageWidths::widest_input() const { return std::max({hidden, q, ffn}); }

Result<Workspace> Workspace::create(const StageWidths& widths, int max_tokens) {
  Workspace space;
  MKM_ASSIGN_OR_RETURN(space.storage_, Buffer::allocate(bytes(widths, max_tokens)));
  Carver carver(space.storage_.as<uint8_t>());
  const uint64_t tokens = static_cast<uint64_t>(max_tokens);
  const uint64_t padded = static_cast<uint64_t>(round_up(widths.widest_input(), kernels::kBlock));
  space.hidden = carver.take<float>(tokens * widths.hidden);
  space.normed = carver.take<float>(tokens * widths.widest_input());
  space.q = carver.take<float>(tokens * widths.q);
  space.k = carver.take<float>(tokens * widths.kv);
  space.v = carver.take<float>(tokens * widths.kv);
  space.gate = carver.take<float>(tokens * widths.ffn);
  space.up = carver.take<float>(tokens * widths.ffn);
  space.cos_sin = carver.take<float>(tokens * widths.rope);
  space.quantized_ = take_quantized(carver, tokens * padded);
  space.residuals_ = take_quantized(carver, tokens * padded);
  return space;
}

uint64_t Workspace::bytes(const StageWidths& widths, int max_tokens) {
  const uint64_t padded = static_cast<uint64_t>(round_up(widths.widest_input(), kernels::kBlock));
  const uint64_t floats = widths.hidden + widths.widest_input() + widths.q + 2ull * widths.kv +
                          2ull * widths.ffn + widths.rope + 2 * 5 * padded / kernels::kGroup;
  return static_cast<uint64_t>(max_tokens) * (floats * 4 + 2 * padded) + 18 * 64;
}

kernels::QuantizedRows Workspace::quantized(int columns) const {
  return with_columns(quantized_, columns);
}

kernels::QuantizedRows Workspace::residuals(int columns) const {
  return with_columns(residuals_, columns);
}

}  // namespace mokume
