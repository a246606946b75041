#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>

namespace mokume {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(std::mt19937& random, int vocab, float spread, bool ties) {
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(vocab);
  for (float& logit : logits) logit = ties ? std::round(normal(random)) : normal(random);
  return logits;
}

// The distribution that request.h describes, the slow way: everything sorted, in double.
std::map<TokenId, double> oracle(std::vector<float> logits, const SamplingParams& params,
                                 const std::vector<TokenId>& prompt,
                                 const std::vector<TokenId>& generated) {
  for (const auto& [id, bias] : params.logit_bias) logits[id] += bias;
  std::map<TokenId, int> counts;
  for (const TokenId id : prompt) counts[id] += 0;
  for (const TokenId id : generated) ++counts[id];
  for (const auto& [id, count] : counts) {
    float& logit = logits[id];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    logit -= params.frequency_penalty * static_cast<float>(count) +
             (count > 0 ? params.presence_penalty : 0);
  }
  std::vector<std::pair<double, TokenId>> order;  // -logit, id: sorts as wanted
  for (size_t id = 0; id < logits.size(); ++id) {
    order.emplace_back(std::isnan(logits[id]) ? kInfinity : -logits[id], static_cast<TokenId>(id));
  }
  std::sort(order.begin(), order.end());
  if (params.temperature == 0) return {{order[0].second, 1.0}};
  if (params.top_k > 0 && params.top_k < static_cast<int>(order.size())) order.resize(params.top_k);
  const double best = -order[0].first;
  std::vector<double> weights;
  for (const auto& [negated, id] : order)
    weights.push_back(std::exp((-negated - best) / params.temperature));
  while (weights.back() < params.min_p) weights.pop_back();
  double total = 0;
  for (const double weight : weights) total += weight;
  double kept = 0;
  size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < params.top_p * total))
    kept += weights[count++];
  std::map<TokenId, double> result;
  for (size_t i = 0; i < count; ++i) {
    if (weights[i] > 0) result[order[i].second] = weights[i] / kept;
  }
  return result;
}

TEST(UniformDraw, IsAFunctionOfSeedAndIndexAndLooksUniform) {
  EXPECT_EQ(uniform_draw(5, 9), uniform_draw(5, 9));
  EXPECT_NE(uniform_draw(5, 9), uniform_draw(5, 10));
  EXPECT_NE(uniform_draw(5, 9), uniform_draw(6, 9));
  constexpr int kBins = 20;
  constexpr int kDraws = 200000;
  for (const bool by_seed : {true, false}) {
    std::vector<int> bins(kBins);
    for (int i = 0; i < kDraws; ++i) {
      const double draw = by_seed ? uniform_draw(i, 3) : uniform_draw(3, i);
      ASSERT_GE(draw, 0);
      ASSERT_LT(draw, 1);
      ++bins[static_cast<int>(draw * kBins)];
    }
    double chi_square = 0;
    for (const int bin : bins) chi_square += std::pow(bin - kDraws / kBins, 2) / (kDraws / kBins);
    EXPECT_LT(chi_square, 43.8);  // 19 degrees of freedom, p = 0.001
  }
}

TEST(Sampler, ArgmaxTakesTheLowestOfEquals) {
  Sampler sampler(5);
  SamplingParams params{.temperature = 0};
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3, 3}, params, {}, 0).value(), 1);
  params.temperature = 1;
  params.top_k = 1;
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3, 3}, params, {}, 0).value(), 1);
}

TEST(Sampler, DrawsOnlyFromTheOraclesSetAndReachesAllOfIt) {
  std::mt19937 random(11);
  constexpr int kVocab = 40;
  Sampler sampler(kVocab);
  const auto pick = [&](std::initializer_list<float> values) {
    return values.begin()[random() % values.size()];
  };
  for (int round = 0; round < 400; ++round) {
    const auto logits = random_logits(random, kVocab, 2, round % 2 == 0);
    SamplingParams params{.temperature = pick({0, 0.5, 1, 2}),
                          .top_p = pick({1, 0.9f, 0.5f, 0.01f}),
                          .top_k = static_cast<int>(pick({0, 1, 5, 39, 100})),
                          .min_p = pick({0, 0, 0.1f, 1}),
                          .presence_penalty = pick({0, 1}),
                          .frequency_penalty = pick({0, 0.5f}),
                          .repetition_penalty = pick({1, 1.3f, 0.7f})};
    if (round % 3 == 0) params.logit_bias = {{3, 4.0f}, {7, -100.0f}};
    const std::vector<TokenId> prompt{1, 2, 2, 3};
    const std::vector<TokenId> generated{3, 4, 4, 4};
    TokenHistory history;
    history.add_prompt(prompt);
    for (const TokenId id : generated) history.add_generated(id);

    const auto wanted = oracle(logits, params, prompt, generated);
    std::map<TokenId, int> drawn;
    constexpr int kDraws = 2000;
    for (int i = 0; i < kDraws; ++i) {
      params.seed = round;
      ++drawn[sampler.sample(logits, params, history, i).value()];
    }
    for (const auto& [id, count] : drawn)
      ASSERT_TRUE(wanted.count(id)) << "round " << round << " id " << id;
    for (const auto& [id, probability] : wanted) {
      const double deviation = std::sqrt(kDraws * probability * (1 - probability)) + 1;
      ASSERT_NEAR(drawn[id], kDraws * probability, 6 * deviation)
          << "round " << round << " id " << id;
    }
  }
}

TEST(Sampler, DistributionPassesChiSquareOverSeeds) {
  std::mt19937 random(3);
  constexpr int kVocab = 30;
  constexpr int kDraws = 100000;
  const auto logits = random_logits(random, kVocab, 1, false);
  Sampler sampler(kVocab);
  SamplingParams params{.temperature = 0.8f, .top_p = 0.95f};
  const auto wanted = oracle(logits, params, {}, {});
  std::map<TokenId, int> drawn;
  for (int seed = 0; seed < kDraws; ++seed) {
    params.seed = seed;
    ++drawn[sampler.sample(logits, params, {}, 0).value()];
  }
  double chi_square = 0;
  for (const auto& [id, probability] : wanted) {
    chi_square += std::pow(drawn[id] - kDraws * probability, 2) / (kDraws * probability);
  }
  const double freedom = static_cast<double>(wanted.size()) - 1;
  EXPECT_LT(chi_square, freedom + 4 * std::sqrt(2 * freedom));
  EXPECT_LT(wanted.size(), static_cast<size_t>(kVocab));
}

TEST(Sampler, LargeVocabularyKeepsExactlyTheNucleus) {
  std::mt19937 random(5);
  constexpr int kVocab = 50000;
  Sampler sampler(kVocab);
  for (const float spread : {0.1f, 1.0f, 6.0f}) {
    const auto logits = random_logits(random, kVocab, spread, false);
    for (const int top_k : {0, 200}) {
      SamplingParams params{.top_p = 0.8f, .top_k = top_k, .min_p = 1e-4f};
      const auto wanted = oracle(logits, params, {}, {});
      for (int i = 0; i < 200; ++i) {
        const TokenId id = sampler.sample(logits, params, {}, i).value();
        ASSERT_TRUE(wanted.count(id)) << "spread " << spread << " top_k " << top_k;
      }
    }
  }
}

TEST(Sampler, SurvivesAnyLogits) {
  Sampler sampler(6);
  TokenHistory history;
  history.add_generated(2);
  for (const float temperature : {0.0f, 1e-30f, 1.0f, 1e30f}) {
    for (const float top_p : {1.0f, 0.5f, 1e-30f}) {
      SamplingParams params{
          .temperature = temperature, .top_p = top_p, .repetition_penalty = 1e-30f};
      params.logit_bias = {{5, 1e38f}};
      const auto sample = [&](std::vector<float> logits) {
        return sampler.sample(logits, params, history, 1);
      };
      EXPECT_FALSE(sample(std::vector<float>(6, -kInfinity)).ok());
      EXPECT_FALSE(sample(std::vector<float>(6, kNan)).ok());
      EXPECT_EQ(sample({kNan, -kInfinity, kNan, 1, kNan, -kInfinity}).value(), 3);
      EXPECT_EQ(sample({kNan, -kInfinity, kInfinity, 1, kNan, 0}).value() % 3, 2);  // 2 or 5
      EXPECT_TRUE(sample({3e38f, -3e38f, 3e38f, -3e38f, 0, 3e38f}).ok());
    }
  }
}

TEST(Sampler, LogprobsAreTheLogSoftmaxOfTheRawLogits) {
  std::mt19937 random(9);
  constexpr int kVocab = 300;
  Sampler sampler(kVocab);
  auto logits = random_logits(random, kVocab, 3, true);
  logits[8] = kNan;
  logits[9] = -kInfinity;
  double sum = 0;
  std::vector<std::pair<float, TokenId>> order;
  for (int id = 0; id < kVocab; ++id) {
    if (id == 8 || id == 9) continue;
    sum += std::exp(double{logits[id]});
    order.emplace_back(-logits[id], id);
  }
  std::sort(order.begin(), order.end());
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
  for (const int count : {0, 1, 20, 300}) {
    sampler.logprobs(logits, 17, count, chosen, top);
    EXPECT_EQ(chosen.id, 17);
    EXPECT_NEAR(chosen.logprob, logits[17] - std::log(sum), 1e-4);
    ASSERT_EQ(top.size(), std::min<size_t>(count, 298));
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(top[i].id, order[i].second);
      EXPECT_NEAR(top[i].logprob, -order[i].first - std::log(sum), 1e-4);
    }
  }
  sampler.logprobs(logits, 8, 1, chosen, top);
  EXPECT_EQ(chosen.logprob, -kInfinity);
}

}  // namespace
}  // namespace mokume
