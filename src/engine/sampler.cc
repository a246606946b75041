#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mokume {
namespace {

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

float clean(float logit) { return std::isnan(logit) ? kMinusInfinity : std::min(logit, kMax); }

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

double uniform_draw(uint64_t seed, uint64_t index) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;
  const uint64_t bits = mix(mix(seed + kGolden) + (index + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

void TokenHistory::add_prompt(std::span<const TokenId> ids) {
  for (const TokenId id : ids) generated_.try_emplace(id, 0);
}

Sampler::Sampler(int vocab_size) {
  logits_.resize(vocab_size);
  candidates_.reserve(vocab_size);
  scratch_.reserve(vocab_size);
}

Result<TokenId> Sampler::sample(std::span<const float> logits, const SamplingParams& params,
                                const TokenHistory& history, uint64_t index) {
  std::transform(logits.begin(), logits.end(), logits_.begin(), clean);
  adjust(params, history);
  const auto best = std::max_element(logits_.begin(), logits_.end());  // the first of equals
  if (best == logits_.end() || *best == kMinusInfinity) {
    return internal_error("engine", "no token has a finite logit");
  }
  if (params.temperature <= 0 || params.top_k == 1)
    return static_cast<TokenId>(best - logits_.begin());

  keep_top_k(params.top_k <= 0 ? logits_.size() : static_cast<size_t>(params.top_k));
  to_weights(params.temperature);
  if (params.min_p > 0) keep_min_p(params.min_p);
  if (params.top_p < 1) keep_top_p(params.top_p);
  return draw(uniform_draw(params.seed, index));
}

void Sampler::adjust(const SamplingParams& params, const TokenHistory& history) {
  for (const auto& [id, bias] : params.logit_bias) {
    if (id < 0 || static_cast<size_t>(id) >= logits_.size()) continue;
    logits_[id] = clean(logits_[id] + bias);
  }
  const bool repeats = params.repetition_penalty != 1;
  if (!repeats && params.frequency_penalty == 0 && params.presence_penalty == 0) return;
  for (const auto& [id, count] : history.counts()) {
    float& logit = logits_[id];
    if (repeats)
      logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    if (count > 0)
      logit -= params.presence_penalty + params.frequency_penalty * static_cast<float>(count);
    logit = clean(logit);
  }
}

bool Sampler::ahead(const Candidate& a, const Candidate& b) {
  return a.value > b.value || (a.value == b.value && a.id < b.id);
}

// Leaves the k likeliest in scratch_, in no order. Ids come rising, so an equal one that comes
// later never wins.
void Sampler::select_top(std::span<const float> logits, size_t k) {
  scratch_.clear();
  if (k == 0) return;
  const size_t limit = std::max<size_t>(2 * k, 64);
  float threshold = kMinusInfinity;
  const auto cut = [&] {
    if (scratch_.size() <= k) return;
    std::nth_element(scratch_.begin(), scratch_.begin() + (k - 1), scratch_.end(), ahead);
    scratch_.resize(k);
    threshold = scratch_.back().value;
  };
  for (size_t id = 0; id < logits.size(); ++id) {
    if (!(logits[id] > threshold)) continue;
    scratch_.push_back({std::min(logits[id], kMax), static_cast<TokenId>(id)});
    if (scratch_.size() == limit) cut();
  }
  cut();
}

void Sampler::keep_top_k(size_t k) {
  candidates_.clear();
  if (k < logits_.size()) {
    select_top(logits_, k);
    candidates_.assign(scratch_.begin(), scratch_.end());
    std::sort(candidates_.begin(), candidates_.end(),
              [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    return;
  }
  for (size_t id = 0; id < logits_.size(); ++id) {
    if (logits_[id] != kMinusInfinity)
      candidates_.push_back({logits_[id], static_cast<TokenId>(id)});
  }
}

void Sampler::to_weights(float temperature) {
  float best = kMinusInfinity;
  for (const Candidate& candidate : candidates_) best = std::max(best, candidate.value);
  for (Candidate& candidate : candidates_)
    candidate.value = std::exp((candidate.value - best) / temperature);
}

void Sampler::keep_min_p(float min_p) {
  std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.value < min_p; });
}

// Keeps the fewest likeliest that together have `top_p` of the probability: by halving the range in
// which the last of them lies, in linear time.
void Sampler::keep_top_p(double top_p) {
  double total = 0;
  double likely = 0;
  constexpr float kLikely = 1e-4f;  // these alone nearly always suffice
  for (const Candidate& candidate : candidates_) {
    total += candidate.value;
    if (candidate.value >= kLikely) likely += candidate.value;
  }
  const double wanted = top_p * total;
  const float least = likely > wanted ? kLikely : 0;
  scratch_.clear();
  std::copy_if(candidates_.begin(), candidates_.end(), std::back_inserter(scratch_),
               [&](const Candidate& candidate) { return candidate.value >= least; });

  auto low = scratch_.begin();  // everything before it is kept and has `before` in all
  auto high = scratch_.end();   // nothing from here on is kept
  double before = 0;
  while (high - low > 1) {
    const auto middle = low + (high - low) / 2;
    std::nth_element(low, middle, high, ahead);
    double mass = 0;
    for (auto it = low; it != middle; ++it) mass += it->value;
    if (before + mass >= wanted) {
      high = middle;
    } else {
      before += mass;
      low = middle;
    }
  }
  keep_until(*low);
}

void Sampler::keep_until(const Candidate& last) {
  std::erase_if(candidates_, [boundary = last](const Candidate& candidate) {
    return ahead(boundary, candidate);
  });
}

TokenId Sampler::draw(double uniform) const {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.value;
  const double target = uniform * total;
  double sum = 0;
  TokenId last = candidates_.front().id;
  for (const Candidate& candidate : candidates_) {
    if (candidate.value <= 0) continue;
    sum += candidate.value;
    last = candidate.id;
    if (sum > target) break;
  }
  return last;  // the last possible one when rounding has left the target out of reach
}

void Sampler::logprobs(std::span<const float> logits, TokenId chosen, int count,
                       TokenLogprob& chosen_out, std::vector<TokenLogprob>& top) {
  float best = kMinusInfinity;
  for (const float logit : logits) best = std::max(best, clean(logit));
  double sum = 0;
  if (best != kMinusInfinity) {
    for (const float logit : logits) sum += std::exp(clean(logit) - best);
  }
  const double log_sum = std::log(sum);
  const auto logprob = [&](float logit) {
    return static_cast<float>(double{logit} - best - log_sum);
  };
  const float raw = clean(logits[chosen]);
  chosen_out = {chosen, raw == kMinusInfinity ? raw : logprob(raw)};

  select_top(logits, count <= 0 ? 0 : static_cast<size_t>(count));
  std::sort(scratch_.begin(), scratch_.end(), ahead);
  top.clear();
  for (const Candidate& candidate : scratch_)
    top.push_back({candidate.id, logprob(candidate.value)});
}

}  // namespace mokume
