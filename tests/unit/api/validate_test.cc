#include "api/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "api/errors.h"

namespace mokume {
namespace {

using ::testing::HasSubstr;
using Change = std::function<void(GenerationOptions&)>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int kVocab = 1000;

struct Refused {
  const char* param;
  const char* message;  ///< a part of it
  Change change;
};

TEST(Validate, RefusesWhatIsOutOfRange) {
  std::vector<Refused> cases;
  const auto number = [&](const char* param, std::optional<double> GenerationOptions::*field,
                          const char* range, std::vector<double> values) {
    values.insert(values.end(), {kNan, kInf, -kInf, 1e308, -1e308});
    for (const double value : values)
      cases.push_back({param, range, [=](auto& o) { o.*field = value; }});
  };
  const auto integer = [&](const char* param, std::optional<int64_t> GenerationOptions::*field,
                           const char* range, std::vector<int64_t> values) {
    values.insert(values.end(),
                  {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()});
    for (const int64_t value : values)
      cases.push_back({param, range, [=](auto& o) { o.*field = value; }});
  };
  number("temperature", &GenerationOptions::temperature, "between 0 and 2", {-0.01, 2.01});
  number("top_p", &GenerationOptions::top_p, "greater than 0 and at most 1", {0, -0.1, 1.01});
  number("min_p", &GenerationOptions::min_p, "between 0 and 1", {-0.1, 1.01});
  number("presence_penalty", &GenerationOptions::presence_penalty, "between -2 and 2", {-2.1, 2.1});
  number("frequency_penalty", &GenerationOptions::frequency_penalty, "between -2 and 2",
         {-2.1, 2.1});
  number("repetition_penalty", &GenerationOptions::repetition_penalty, "between 0.1 and 10",
         {0, 10.1});
  integer("top_k", &GenerationOptions::top_k, "between -1 and 2147483647", {-2, int64_t{1} << 31});
  integer("max_tokens", &GenerationOptions::max_tokens, "between 1 and 2147483647",
          {0, -1, int64_t{1} << 31});
  integer("n", &GenerationOptions::n, "between 1 and 16", {0, 17});
  integer("top_logprobs", &GenerationOptions::top_logprobs, "between 0 and 20", {-1, 21});
  for (const int64_t id : {int64_t{-1}, int64_t{kVocab}, int64_t{1} << 40}) {
    cases.push_back({"logit_bias", "between 0 and 999", [=](auto& o) {
                       o.logit_bias = {{id, 0.0}};
                     }});
  }
  for (const double bias : {-100.1, 100.1, kNan, kInf}) {
    cases.push_back({"logit_bias", "between -100 and 100", [=](auto& o) {
                       o.logit_bias = {{1, bias}};
                     }});
  }
  cases.push_back({"logit_bias", "at most 1024", [](auto& o) { o.logit_bias.resize(1025); }});
  cases.push_back({"stop", "at most 16", [](auto& o) { o.stop.assign(17, "x"); }});
  cases.push_back({"stop", "empty", [](auto& o) { o.stop = {"a", ""}; }});
  cases.push_back({"stop", "at most 1024", [](auto& o) { o.stop = {std::string(1025, 'x')}; }});
  cases.push_back({"stop", "UTF-8", [](auto& o) { o.stop = {"\xC3"}; }});
  cases.push_back({"echo", "logprobs", [](auto& o) {
                     o.echo = true;
                     o.top_logprobs = 0;
                   }});
  for (const Refused& refused : cases) {
    GenerationOptions options;
    refused.change(options);
    const auto valid = validate_options(options, kVocab);
    ASSERT_FALSE(valid.ok()) << refused.param << ": " << refused.message;
    EXPECT_TRUE(absl::IsInvalidArgument(valid.status()));
    EXPECT_EQ(error_param(valid.status()), refused.param);
    EXPECT_THAT(std::string(client_message(valid.status())), HasSubstr(refused.message));
    EXPECT_THAT(std::string(client_message(valid.status())), HasSubstr(refused.param));
  }
}

TEST(Validate, AcceptsBothEndsOfEveryRange) {
  const std::vector<Change> changes = {
      [](auto& o) { o.temperature = 0; },
      [](auto& o) { o.temperature = 2; },
      [](auto& o) { o.top_p = 1e-300; },
      [](auto& o) { o.top_p = 1; },
      [](auto& o) { o.min_p = 0; },
      [](auto& o) { o.min_p = 1; },
      [](auto& o) { o.top_k = -1; },
      [](auto& o) { o.top_k = 2147483647; },
      [](auto& o) { o.presence_penalty = -2; },
      [](auto& o) { o.presence_penalty = 2; },
      [](auto& o) { o.repetition_penalty = 0.1; },
      [](auto& o) { o.repetition_penalty = 10; },
      [](auto& o) { o.n = 16; },
      [](auto& o) { o.top_logprobs = 20; },
      [](auto& o) { o.max_tokens = 2147483647; },
      [](auto& o) {
        o.logit_bias = {{0, -100}, {kVocab - 1, 100}};
      },
      [](auto& o) { o.stop = {std::string(1024, 'x')}; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    GenerationOptions options;
    changes[i](options);
    const auto valid = validate_options(options, kVocab);
    ASSERT_TRUE(valid.ok()) << i << ": " << valid.status();
    EXPECT_GT(valid->sampling.top_p, 0) << i;
    EXPECT_LE(valid->sampling.top_k, kVocab) << i;
  }
}

TEST(Validate, DefaultsChangeNothing) {
  const auto valid = validate_options({}, kVocab);
  ASSERT_TRUE(valid.ok());
  EXPECT_EQ(valid->sampling.temperature, 1);
  EXPECT_EQ(valid->sampling.top_p, 1);
  EXPECT_EQ(valid->sampling.top_k, 0);
  EXPECT_EQ(valid->n, 1);
  EXPECT_EQ(valid->top_logprobs, -1);
  EXPECT_FALSE(valid->has_seed);
}

TEST(Validate, TinyTemperatureIsGreedy) {
  GenerationOptions options;
  options.temperature = 1e-39;
  EXPECT_EQ(validate_options(options, kVocab)->sampling.temperature, 0);
}

TEST(Validate, Ids) {
  EXPECT_EQ(*validate_ids({0, 999}, kVocab, "prompt"), (std::vector<TokenId>{0, 999}));
  for (const int64_t bad : {int64_t{-1}, int64_t{1000}, int64_t{1} << 32}) {
    const auto ids = validate_ids({1, bad}, kVocab, "prompt");
    ASSERT_FALSE(ids.ok());
    EXPECT_THAT(std::string(ids.status().message()), HasSubstr("at index 1"));
    EXPECT_EQ(error_param(ids.status()), "prompt");
  }
}

}  // namespace
}  // namespace mokume
