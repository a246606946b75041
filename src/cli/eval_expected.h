// `mokume eval logits --expected`: a model's logits against those that somebody else computed.
#pragma once

#include <ostream>
#include <string>

#include "cli/eval.h"

namespace mokume {

/// `path` is a safetensors file: prompt I64 [T] and logits F32 [T, vocab], the row after each token
/// of the prompt; where it has them, greedy I64 [N], the ids that follow, and greedy_logits F32
/// [N, vocab], the rows that they are the largest of. Prints the largest and the root mean square
/// difference over all rows, and how many greedy ids are the same. Ids whose two largest saved
/// logits lie closer than twice the largest difference are not counted: rounding decides them.
Status eval_expected(const EvalOptions& options, const std::string& path, std::ostream& out);

}  // namespace mokume
