#include "quantize/rope_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/rope.h"

namespace mokume {
namespace {

/// As transformers scales Llama 3's frequencies.
std::vector<float> llama3_divisors(int dims, double base, double factor, double low, double high,
                                   double context) {
  std::vector<float> divisors;
  for (int pair = 0; pair < dims / 2; ++pair) {
    const double turns = context * std::pow(base, -2.0 * pair / dims) / (2 * std::numbers::pi);
    const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / (kept + (1 - kept) / factor)));
  }
  return divisors;
}

TEST(RopeConfig, PlainAndLinear) {
  const auto plain = rope_config_of(make_rope({.dims = 64, .base = 1e6}));
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->type, "default");
  EXPECT_EQ(plain->theta, 1e6);
  const RopeScaling scaling = {.type = RopeScaling::Type::kLinear, .factor = 4};
  const auto linear = rope_config_of(make_rope({.dims = 64, .base = 1e4, .scaling = scaling}));
  ASSERT_TRUE(linear.ok());
  EXPECT_EQ(linear->type, "linear");
  EXPECT_EQ(linear->factor, 4);
}

TEST(RopeConfig, Llama3FromItsDivisors) {
  // Llama 3.1 8B and Llama 3.2 1B.
  for (const auto& [dims, factor] : {std::pair(128, 8.0), std::pair(64, 32.0)}) {
    const std::vector<float> divisors = llama3_divisors(dims, 5e5, factor, 1, 4, 8192);
    const auto config =
        rope_config_of(make_rope({.dims = dims, .base = 5e5, .divisors = divisors}));
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->type, "llama3");
    EXPECT_EQ(config->factor, factor);
    EXPECT_EQ(config->low_frequency, 1);
    EXPECT_EQ(config->high_frequency, 4);
    EXPECT_EQ(config->original_context, 8192);
  }
}

TEST(RopeConfig, OtherDivisorsAreRefused) {
  std::vector<float> divisors = llama3_divisors(64, 5e5, 8, 1, 4, 8192);
  std::swap(divisors[3], divisors.back());
  const auto config = rope_config_of(make_rope({.dims = 64, .base = 5e5, .divisors = divisors}));
  EXPECT_EQ(config.status().code(), absl::StatusCode::kUnimplemented);
}

TEST(RopeConfig, YarnKeepsItsMagnitude) {
  RopeScaling scaling = {.type = RopeScaling::Type::kYarn, .factor = 4, .original_context = 32768};
  auto config = rope_config_of(make_rope({.dims = 128, .base = 1e6, .scaling = scaling}));
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->type, "yarn");
  EXPECT_EQ(config->original_context, 32768);
  EXPECT_FALSE(config->attention_factor);
  scaling.attention_factor = 0.5;
  config = rope_config_of(make_rope({.dims = 128, .base = 1e6, .scaling = scaling}));
  ASSERT_TRUE(config.ok());
  EXPECT_NEAR(*config->attention_factor, 0.5 * (1 + 0.1 * std::log(4)), 1e-12);
  scaling.extrapolation = 0.5;
  config = rope_config_of(make_rope({.dims = 128, .base = 1e6, .scaling = scaling}));
  EXPECT_EQ(config.status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace mokume
