// From one row of logits to one token.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "scheduler/request.h"

namespace mokume {

/// Uniform in [0, 1), 53 bits: a function of its arguments alone, so that a token does not depend
/// on what else was drawn. `index` is the number of tokens generated before it.
double uniform_draw(uint64_t seed, uint64_t index);

/// The ids that penalties look at: of one sequence, kept up as it grows.
class TokenHistory {
 public:
  void add_prompt(std::span<const TokenId> ids);
  void add_generated(TokenId id) { ++generated_[id]; }
  /// Times generated, by id; 0 for an id of the prompt alone.
  const std::unordered_map<TokenId, int>& counts() const { return generated_; }

 private:
  std::unordered_map<TokenId, int> generated_;
};

/// Sampling and log-probabilities. Nothing is sorted whole and the scratch is allocated once. Not
/// thread-safe.
///
/// Logits may be anything: NaN counts as -inf, and +inf as the largest float.
class Sampler {
 public:
  explicit Sampler(int vocab_size);

  /// One token, by the parameters in the order that request.h gives; `index` as for uniform_draw.
  /// Internal error when every logit is -inf. The same arguments give the same token. `logits` has
  /// vocab_size elements.
  Result<TokenId> sample(std::span<const float> logits, const SamplingParams& params,
                         const TokenHistory& history, uint64_t index);

  /// Log-probabilities of the softmax of `logits`: of `chosen`, and of the `count` likeliest ids in
  /// `top`, most likely first, ties by lower id; ids of probability zero are left out.
  void logprobs(std::span<const float> logits, TokenId chosen, int count, TokenLogprob& chosen_out,
                std::vector<TokenLogprob>& top);

 private:
  /// `value` is a logit at first, and after to_weights() a probability relative to the likeliest
  /// one.
  struct Candidate {
    float value;
    TokenId id;
  };
  static bool ahead(const Candidate& a, const Candidate& b);

  void adjust(const SamplingParams& params, const TokenHistory& history);
  void keep_top_k(size_t k);
  void keep_until(const Candidate& last);
  void to_weights(float temperature);
  void keep_min_p(float min_p);
  void keep_top_p(double top_p);
  TokenId draw(double uniform) const;
  void select_top(std::span<const float> logits, size_t k);

  std::vector<float> logits_;          // [vocab], clean and adjusted
  std::vector<Candidate> candidates_;  // by id
  std::vector<Candidate> scratch_;
};

}  // namespace mokume
