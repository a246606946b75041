// How a CPU stage runs one step.
#include <algorithm>
#include <cstring>

#include "device/check_step.h"
#include "device/cpu/cpu_stage.h"

namespace mokume {
namespace {

// Tokens of a piece of attention: a few tiles of query rows.
constexpr int kAttentionTokens = 16;

}  // namespace

Status CpuStage::run_step(const StageStep& step) {
  MKM_RETURN_IF_ERROR(check_step("cpu", step, options_));
  prepare(step);
  library_failed_.store(false, std::memory_order_relaxed);
  pool_.run((few_ ? few_program_ : many_program_).ops());
  if (!library_failed_.load(std::memory_order_relaxed)) return absl::OkStatus();
  return internal_error("cpu", slice_product_library(), " could not multiply");
}

// What all layers of the step share.
void CpuStage::prepare(const StageStep& step) {
  step_ = step;
  observing_ = true;
  // What observes a product's input sees all of it, which only the other way has in one place.
  few_ = tokens() <= kFewTokens && !options_.observe;
  hidden_ = options_.has_head ? space_.hidden : step.hidden_out;
  attention_items_.clear();
  attention_parts_.clear();
  int rows = 0;
  for (size_t s = 0; s < step.sequences.size(); ++s) {
    const SequenceSlice& slice = step.sequences[s];
    std::fill_n(token_sequence_.begin() + slice.first_token, slice.token_count,
                static_cast<int>(s));
    for (int begin = 0; begin < slice.token_count; begin += kAttentionTokens) {
      const int end = std::min(slice.token_count, begin + kAttentionTokens);
      const int parts = (slice.first_position + end - 1) / kernels::kAttentionPart + 1;
      attention_items_.push_back({static_cast<int>(s), begin, end, parts, rows});
      rows += parts * (end - begin);
    }
  }
  if (!few_ || static_cast<uint64_t>(rows) > widths_.parts) return;  // no room for their states
  for (size_t i = 0; i < attention_items_.size(); ++i) {
    for (int part = 0; part < attention_items_[i].parts; ++part)
      attention_parts_.push_back({static_cast<int>(i), part});
  }
}

}  // namespace mokume
