// Tokens through a pipeline of stages, one step after another: what evaluation needs, without an
// engine.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/runtime.h"

namespace mokume {

/// Runs one sequence from position 0, in chunks of at most prefill_chunk_tokens, and hands out the
/// logits of every token: `on_logits(token, logits)`, in order. InvalidArgument when the sequence
/// is longer than the KV cache holds or an id is outside the vocabulary.
Status forward(Runtime& runtime, std::span<const int32_t> ids,
               const std::function<void(int token, std::span<const float> logits)>& on_logits);

/// The least max_logit_rows that forward() works with.
int forward_logit_rows(const SchedulerConfig& scheduler);

}  // namespace mokume
