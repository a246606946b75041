// What the engine is asked to generate: ids in, ids out. Built only by api/, which has validated
// every field.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mokume {

using TokenId = int32_t;
using RequestId = uint64_t;

/// Defaults are neutral: no field changes the distribution unless set. Order of application:
/// logit_bias, repetition, frequency and presence penalties, temperature, top_k, min_p, top_p,
/// draw.
struct SamplingParams {
  float temperature = 1;         ///< 0: argmax, ties to the lowest id
  float top_p = 1;               ///< (0, 1]
  int top_k = 0;                 ///< 0 or negative: all
  float min_p = 0;               ///< [0, 1]
  float presence_penalty = 0;    ///< OpenAI's: subtracted once for every id already generated
  float frequency_penalty = 0;   ///< OpenAI's: subtracted for every time it was
  float repetition_penalty = 1;  ///< CTRL's (arXiv:1909.05858): over prompt and generated ids
  std::vector<std::pair<TokenId, float>> logit_bias;
  uint64_t seed = 0;
};

struct Request {
  RequestId id = 0;
  std::vector<TokenId> prompt;  ///< not empty, every id < vocab_size
  SamplingParams sampling;
  int max_tokens = 0;             ///< at least 1
  std::vector<TokenId> stop_ids;  ///< end-of-generation ids; empty with ignore_eos
  int top_logprobs = -1;          ///< -1: none; 0..20: the chosen id's and that many alternatives
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

}  // namespace mokume
