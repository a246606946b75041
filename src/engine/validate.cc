#include "engine/validate.h"

#include <cmath>
#include <limits>

namespace mokume {
namespace {

struct Range {
  const char* name;
  int64_t value;
  int64_t least;
  int64_t most;
};

bool all_finite(const SamplingParams& params) {
  for (const auto& [id, bias] : params.logit_bias) {
    if (!std::isfinite(bias)) return false;
  }
  return std::isfinite(params.temperature) && std::isfinite(params.top_p) &&
         std::isfinite(params.min_p) && std::isfinite(params.presence_penalty) &&
         std::isfinite(params.frequency_penalty) && std::isfinite(params.repetition_penalty);
}

Status validate_sampling(const SamplingParams& params, int vocab_size) {
  if (!all_finite(params))
    return invalid_argument("engine", "sampling parameters must be finite numbers");
  if (params.temperature < 0) return invalid_argument("engine", "temperature must be 0 or more");
  if (params.top_p <= 0 || params.top_p > 1)
    return invalid_argument("engine", "top_p must be in (0, 1]");
  if (params.min_p < 0 || params.min_p > 1)
    return invalid_argument("engine", "min_p must be in [0, 1]");
  if (params.repetition_penalty <= 0)
    return invalid_argument("engine", "repetition_penalty must be above 0");
  for (const auto& [id, bias] : params.logit_bias) {
    if (id < 0 || id >= vocab_size) {
      return invalid_argument("engine", "logit_bias has id ", id, "; ids are 0 to ",
                              vocab_size - 1);
    }
  }
  return {};
}

}  // namespace

Status validate_options(const EngineOptions& options, size_t stages, size_t names) {
  if (stages == 0 || stages > 1024)
    return invalid_argument("engine", "1 to 1024 stages are needed, not ", stages);
  if (names != stages) return invalid_argument("engine", stages, " stages have ", names, " names");
  constexpr int64_t kMillion = 1'000'000;
  const Range ranges[] = {
      {"max_sequences", options.max_sequences, 1, kMillion},
      {"max_queue", options.max_queue, 0, kMillion},
      {"prefill_chunk_tokens", options.prefill_chunk_tokens, 1, kMillion},
      {"kv_pages", options.kv_pages, 1, std::numeric_limits<int32_t>::max()},
      {"page_tokens", options.page_tokens, 1, kMillion},
      {"context_length", options.context_length, 2, 1'000'000'000},
      {"vocab_size", options.vocab_size, 1, 100 * kMillion},
      {"hidden_size", options.hidden_size, stages > 1 ? 1 : 0, kMillion},
  };
  for (const Range& range : ranges) {
    if (range.value < range.least || range.value > range.most) {
      return invalid_argument("engine", range.name, " is ", range.value, "; it must be ",
                              range.least, " to ", range.most);
    }
  }
  return {};
}

Status validate_request(const Request& request, int vocab_size, int max_positions) {
  if (request.prompt.empty()) return invalid_argument("engine", "the prompt is empty");
  if (request.prompt.size() >= static_cast<size_t>(max_positions)) {
    return invalid_argument("engine", "the prompt has ", request.prompt.size(), " tokens; at most ",
                            max_positions - 1, " fit");
  }
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= vocab_size) {
      return invalid_argument("engine", "the prompt has id ", id, "; ids are 0 to ",
                              vocab_size - 1);
    }
  }
  if (request.max_tokens < 1) return invalid_argument("engine", "max_tokens must be 1 or more");
  return validate_sampling(request.sampling, vocab_size);
}

}  // namespace mokume
