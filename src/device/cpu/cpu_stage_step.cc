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
  finishes_few_ = options_.has_head && !few_ && !options_.observe;
  finished_ = finishes_few_ ? space_.finished : hidden_;
  attention_items_.clear();
  attention_parts_.clear();
  last_attention_items_.clear();
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
  find_attention_parts(rows);
  find_last_attention_items();
}

// The parts of what few tokens see, where there is room for what they give.
void CpuStage::find_attention_parts(int rows) {
  if (!few_ || static_cast<uint64_t>(rows) > widths_.parts) return;
  for (size_t i = 0; i < attention_items_.size(); ++i) {
    for (int part = 0; part < attention_items_[i].parts; ++part)
      attention_parts_.push_back({static_cast<int>(i), part});
  }
}

// What the last layer attends to for: tokens with logits and what lies between them.
void CpuStage::find_last_attention_items() {
  if (!finishes_few_) return;
  has_logits_.assign(step_.token_ids.size(), false);
  for (const int row : step_.logit_rows) has_logits_[row] = true;
  for (AttentionItem item : attention_items_) {
    const auto tokens = has_logits_.begin() + step_.sequences[item.sequence].first_token;
    while (item.token_begin < item.token_end && !tokens[item.token_begin]) ++item.token_begin;
    while (item.token_begin < item.token_end && !tokens[item.token_end - 1]) --item.token_end;
    if (item.token_begin < item.token_end) last_attention_items_.push_back(item);
  }
}

}  // namespace mokume
