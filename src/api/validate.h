// Bounds on every number of GenerationOptions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/types.h"
#include "base/status.h"
#include "scheduler/request.h"

namespace mokume {

/// Limits of one call; all are stated in the message of the error that exceeding them gives.
inline constexpr int kMaxChoices = 16;  ///< n
inline constexpr int kMaxPrompts = 128;
inline constexpr int kMaxStopStrings = 16;
inline constexpr size_t kMaxStopBytes = 1024;  ///< of one stop string
inline constexpr int kMaxTopLogprobs = 20;
inline constexpr size_t kMaxLogitBias = 1024;

/// GenerationOptions after validation; `sampling.seed` is set only where the client gave one.
struct ValidOptions {
  SamplingParams sampling;
  bool has_seed = false;
  std::optional<int> max_tokens;
  int n = 1;
  int top_logprobs = -1;
};

/// InvalidArgument names the field as OpenAI spells it and says its range.
Result<ValidOptions> validate_options(const GenerationOptions& options, int vocab_size);

/// `ids` as token ids; InvalidArgument about `param` when one lies outside [0, vocab_size).
Result<std::vector<TokenId>> validate_ids(const std::vector<int64_t>& ids, int vocab_size,
                                          std::string_view param);

}  // namespace mokume
