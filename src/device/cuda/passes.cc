#include "device/cuda/passes.h"

#include <algorithm>

#include "base/checked.h"

namespace mokume::cuda {

void PassPlan::plan(const StageStep& step, int page_tokens, bool exact) {
  used_ = 0;
  Pass* pass = nullptr;
  for (size_t s = 0; s < step.sequences.size(); ++s) {
    const SequenceSlice& slice = step.sequences[s];
    if (slice.token_count != 1) continue;
    if (!pass || pass->tokens == kMaxDecodeTokens) pass = &open(true, true);
    add(*pass, step, {static_cast<int>(s), slice.first_token, 1}, page_tokens);
  }
  pass = nullptr;
  for (size_t s = 0; s < step.sequences.size(); ++s) {
    const SequenceSlice& slice = step.sequences[s];
    if (slice.token_count == 1) continue;
    for (int done = 0; done < slice.token_count;) {
      const bool full = pass && (exact ? pass->tokens == kMaxDecodeTokens
                                       : pass->slices.size() == kMaxPassSequences);
      if (!pass || full) pass = &open(exact, false);
      const int left = slice.token_count - done;
      const int count = exact ? std::min(left, kMaxDecodeTokens - pass->tokens) : left;
      add(*pass, step, {static_cast<int>(s), slice.first_token + done, count}, page_tokens);
      done += count;
    }
  }
  add_rows(step);
}

Pass& PassPlan::open(bool decode, bool one_token_each) {
  if (used_ == passes_.size()) passes_.emplace_back();
  Pass& pass = passes_[used_++];
  pass.slices.clear();
  pass.rows.clear();
  pass.tokens = pass.positions = pass.pages = 0;
  pass.decode = decode;
  pass.one_token_each = one_token_each;
  return pass;
}

void PassPlan::add(Pass& pass, const StageStep& step, const PassSlice& slice, int page_tokens) {
  const SequenceSlice& whole = step.sequences[static_cast<size_t>(slice.sequence)];
  const int end = whole.first_position + slice.first_token - whole.first_token + slice.token_count;
  pass.slices.push_back(slice);
  pass.tokens += slice.token_count;
  pass.positions = std::max(pass.positions, end);
  pass.pages = std::max(pass.pages, static_cast<int>(div_up(end, page_tokens)));
}

void PassPlan::add_rows(const StageStep& step) {
  for (size_t p = 0; p < used_; ++p) {
    Pass& pass = passes_[p];
    int begin = 0;  // of the slice in the pass
    for (const PassSlice& slice : pass.slices) {
      for (size_t r = 0; r < step.logit_rows.size(); ++r) {
        const int token = step.logit_rows[r] - slice.first_token;
        if (token < 0 || token >= slice.token_count) continue;
        pass.rows.push_back({static_cast<int>(r), begin + token});
      }
      begin += slice.token_count;
    }
  }
}

}  // namespace mokume::cuda
