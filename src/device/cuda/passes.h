// How a step is cut into what the kernels run at once.
#pragma once

#include <vector>

#include "device/stage.h"
#include "kernels/cuda/kernels.h"

namespace mokume::cuda {

/// Sequences of one pass.
inline constexpr int kMaxPassSequences = 64;

/// Tokens of one sequence.
struct PassSlice {
  int sequence = 0;     ///< of the step
  int first_token = 0;  ///< of the step
  int token_count = 0;
};

/// A row of logits that a pass brings.
struct PassRow {
  int row = 0;    ///< of the step's logits
  int token = 0;  ///< of the pass
};

struct Pass {
  std::vector<PassSlice> slices;
  std::vector<PassRow> rows;
  int tokens = 0;
  int positions = 0;  ///< most that a sequence has after it
  int pages = 0;      ///< most that a sequence reaches
  /// The products and the attention of at most kMaxDecodeTokens tokens; otherwise those of prompts.
  bool decode = false;
  bool one_token_each = false;
};

/// Passes are run in order. Sequences of one token each go together, kMaxDecodeTokens at a time:
/// what is computed for a token that is generated does not depend on prompts in the same step. An
/// exact stage cuts prompts into as small pieces and runs them the same way, so that its results do
/// not depend on how a prompt was cut.
///
/// Reused from step to step, so that the passes' lists keep their room.
class PassPlan {
 public:
  void plan(const StageStep& step, int page_tokens, bool exact);
  size_t size() const { return used_; }
  const Pass& operator[](size_t index) const { return passes_[index]; }

 private:
  Pass& open(bool decode, bool one_token_each);
  void add(Pass& pass, const StageStep& step, const PassSlice& slice, int page_tokens);
  void add_rows(const StageStep& step);

  std::vector<Pass> passes_;
  size_t used_ = 0;
};

}  // namespace mokume::cuda
