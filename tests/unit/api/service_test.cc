#include "api/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "api/errors.h"
#include "fakes.h"

namespace mokume::testing {
namespace {

using ::testing::HasSubstr;

std::string message_of(const Status& status) { return std::string(client_message(status)); }

TEST(Service, UnknownModel) {
  Fixture fixture;
  GenerationOptions options;
  options.model = "other";
  const Status status = fixture.complete("x", options).status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(message_of(status), "The model `other` does not exist. Available: fake");
  EXPECT_EQ(error_code(status), "model_not_found");
  EXPECT_EQ(error_param(status), "model");
  options.model = "fake";
  EXPECT_TRUE(fixture.complete("x", options).ok());
}

TEST(Service, BuildsTheRequest) {
  Fixture fixture;
  GenerationOptions options;
  options.max_tokens = 5;
  options.top_logprobs = 3;
  options.seed = 42;
  ASSERT_TRUE(fixture.complete("hi", options).ok());
  const Request& request = fixture.engine.requests.at(0);
  EXPECT_EQ(request.prompt, (std::vector<TokenId>{kBos, 'h', 'i'}));
  EXPECT_EQ(request.max_tokens, 5);
  EXPECT_EQ(request.top_logprobs, 3);
  EXPECT_EQ(request.sampling.seed, 42u);
  EXPECT_THAT(request.stop_ids, ::testing::UnorderedElementsAre(kEos, 10));
}

TEST(Service, IgnoreEosHasNoStopIds) {
  Fixture fixture;
  GenerationOptions options;
  options.ignore_eos = true;
  ASSERT_TRUE(fixture.complete("hi", options).ok());
  EXPECT_TRUE(fixture.engine.requests.at(0).stop_ids.empty());
}

TEST(Service, MaxTokensIsWhatTheContextLeaves) {
  Fixture fixture;
  ASSERT_TRUE(fixture.complete(std::string(59, 'x')).ok());
  EXPECT_EQ(fixture.engine.requests.at(0).max_tokens, 40);
  GenerationOptions options;
  options.max_tokens = 1000;
  ASSERT_TRUE(fixture.complete(std::string(98, 'x'), options).ok());
  EXPECT_EQ(fixture.engine.requests.at(1).max_tokens, 1);
}

TEST(Service, PromptTooLong) {
  Fixture fixture;
  const Status status = fixture.complete(std::string(99, 'x')).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(error_code(status), "context_length_exceeded");
  EXPECT_EQ(error_param(status), "prompt");
  EXPECT_THAT(message_of(status), HasSubstr("maximum context length is 100 tokens"));
  EXPECT_TRUE(fixture.engine.requests.empty());
}

TEST(Service, PromptsOfIds) {
  Fixture fixture;
  CompletionRequest request;
  request.prompts = {std::vector<int64_t>{1, 2}};
  ASSERT_TRUE(fixture.service->complete(request, fixture.sink).ok());
  EXPECT_EQ(fixture.engine.requests.at(0).prompt, (std::vector<TokenId>{1, 2}));
  request.prompts = {std::vector<int64_t>{1, 258}};
  EXPECT_THAT(message_of(fixture.service->complete(request, fixture.sink).status()),
              HasSubstr("token id 258"));
  request.prompts = {std::vector<int64_t>{}};
  EXPECT_THAT(message_of(fixture.service->complete(request, fixture.sink).status()),
              HasSubstr("no tokens"));
  request.prompts.clear();
  EXPECT_THAT(message_of(fixture.service->complete(request, fixture.sink).status()),
              HasSubstr("between 1 and 128"));
  request.prompts.assign(129, std::string("x"));
  EXPECT_THAT(message_of(fixture.service->complete(request, fixture.sink).status()),
              HasSubstr("between 1 and 128"));
}

TEST(Service, BadUtf8IsRefused) {
  Fixture fixture;
  EXPECT_TRUE(absl::IsInvalidArgument(fixture.complete("\xff").status()));
}

TEST(Service, SeveralPromptsAndSamples) {
  Fixture fixture;
  CompletionRequest request;
  request.prompts = {std::string("a"), std::string("bc")};
  request.options.n = 3;
  request.options.seed = 10;
  const auto call = fixture.service->complete(request, fixture.sink);
  ASSERT_TRUE(call.ok());
  ASSERT_EQ(fixture.engine.requests.size(), 6u);
  std::set<RequestId> ids;
  for (size_t i = 0; i < 6; ++i) {
    ids.insert(fixture.engine.requests[i].id);
    EXPECT_EQ(fixture.engine.requests[i].sampling.seed, 10 + i % 3);
    fixture.engine.token(i, static_cast<TokenId>('0' + i));
  }
  EXPECT_EQ(ids.size(), 6u);
  EXPECT_EQ((*call)->prompt_usage().prompt_tokens, 5);  // each prompt counts once
  for (size_t i = 0; i < 6; ++i) fixture.engine.finish(i, FinishReason::kLength, 2);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(fixture.sink->text(i), std::to_string(i));
  int all_finished = 0;
  for (const TextEvent& event : fixture.sink->events) all_finished += event.all_finished;
  EXPECT_EQ(all_finished, 1);
  EXPECT_TRUE(fixture.sink->events.back().all_finished);
  EXPECT_EQ(fixture.sink->events.back().usage.prompt_tokens, 5);
  EXPECT_EQ(fixture.sink->events.back().usage.completion_tokens, 12);
}

TEST(Service, SeedsDifferWhereNoneIsGiven) {
  Fixture fixture;
  GenerationOptions options;
  options.n = 2;
  ASSERT_TRUE(fixture.complete("x", options).ok());
  EXPECT_NE(fixture.engine.requests[0].sampling.seed, fixture.engine.requests[1].sampling.seed);
}

TEST(Service, AllChoicesOrNone) {
  Fixture fixture;
  fixture.engine.refuse_at = 2;
  GenerationOptions options;
  options.n = 4;
  EXPECT_TRUE(absl::IsResourceExhausted(fixture.complete("x", options).status()));
  ASSERT_EQ(fixture.engine.requests.size(), 2u);
  for (const Request& request : fixture.engine.requests) {
    EXPECT_THAT(fixture.engine.cancelled, ::testing::Contains(request.id));
  }
  EXPECT_EQ(fixture.engine.token(0, 'a'), TokenSink::Verdict::kCancel);
  EXPECT_TRUE(fixture.sink->events.empty());
}

TEST(Service, ReaderThatRefusesCancelsEveryChoice) {
  Fixture fixture;
  GenerationOptions options;
  options.n = 2;
  ASSERT_TRUE(fixture.complete("x", options).ok());
  fixture.sink->accept = false;
  EXPECT_EQ(fixture.engine.token(0, 'a'), TokenSink::Verdict::kCancel);
  EXPECT_EQ(fixture.engine.token(1, 'a'), TokenSink::Verdict::kCancel);
  EXPECT_THAT(fixture.engine.cancelled, ::testing::Contains(fixture.engine.requests[1].id));
}

TEST(Service, CancelReachesTheEngine) {
  Fixture fixture;
  const auto call = fixture.complete("x");
  ASSERT_TRUE(call.ok());
  (*call)->cancel();
  EXPECT_THAT(fixture.engine.cancelled, ::testing::ElementsAre(fixture.engine.requests[0].id));
  fixture.engine.finish(0, FinishReason::kCancelled, 0, absl::CancelledError("gone"));
  EXPECT_TRUE(fixture.sink->events.back().all_finished);
  EXPECT_EQ(fixture.sink->events.back().finish, FinishReason::kCancelled);
}

TEST(Service, EchoComesFirst) {
  Fixture fixture;
  GenerationOptions options;
  options.echo = true;
  options.stop = {"mpt"};
  ASSERT_TRUE(fixture.complete("prompt ", options).ok());
  fixture.engine.token(0, 'a');
  fixture.engine.finish(0, FinishReason::kLength, 1);
  EXPECT_EQ(fixture.sink->text(), "prompt a");
}

TEST(Service, CharactersComeWhole) {
  Fixture fixture;
  ASSERT_TRUE(fixture.complete("x").ok());
  fixture.engine.token(0, 0xC3);
  EXPECT_TRUE(fixture.sink->events.empty());
  fixture.engine.token(0, 0xA9);
  ASSERT_EQ(fixture.sink->events.size(), 1u);
  EXPECT_EQ(fixture.sink->events[0].text, "é");
  EXPECT_EQ(fixture.sink->events[0].ids, (std::vector<TokenId>{0xC3, 0xA9}));
  fixture.engine.token(0, 0xE2);  // never completed
  fixture.engine.finish(0, FinishReason::kLength, 3);
  EXPECT_EQ(fixture.sink->text(), "é\xEF\xBF\xBD");
  EXPECT_EQ(fixture.sink->ids().size(), 3u);
}

TEST(Service, StopTokenIsNoPartOfTheAnswer) {
  Fixture fixture;
  ASSERT_TRUE(fixture.complete("x").ok());
  fixture.engine.token(0, 'a');
  TokenEvent stop;
  stop.id = 10;
  stop.is_stop = true;
  fixture.engine.sinks[0]->on_token(stop);
  fixture.engine.finish(0, FinishReason::kStop, 2);
  EXPECT_EQ(fixture.sink->text(), "a");
  EXPECT_EQ(fixture.sink->ids(), std::vector<TokenId>{'a'});
}

TEST(Service, LogprobsCarryTheBytesOfTheirTokens) {
  Fixture fixture;
  GenerationOptions options;
  options.top_logprobs = 2;
  ASSERT_TRUE(fixture.complete("x", options).ok());
  TokenEvent event;
  event.id = 0xC3;
  event.chosen = {0xC3, -0.5f};
  event.top = {{'a', -0.25f}, {kEos, -2.0f}};
  fixture.engine.sinks[0]->on_token(event);
  event.id = event.chosen.id = 0xA9;
  fixture.engine.sinks[0]->on_token(event);
  ASSERT_EQ(fixture.sink->events.size(), 1u);
  const std::vector<TextLogprob>& logprobs = fixture.sink->events[0].logprobs;
  ASSERT_EQ(logprobs.size(), 2u);
  EXPECT_EQ(logprobs[0].bytes, "\xC3");
  EXPECT_EQ(logprobs[0].logprob, -0.5f);
  EXPECT_EQ(logprobs[0].top[1].bytes, "</s>");
}

TEST(Service, WithoutTokenizerIdsOnly) {
  Fixture fixture({}, false);
  EXPECT_TRUE(absl::IsFailedPrecondition(fixture.complete("x").status()));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(fixture.chat(R"([{"role":"user","content":"x"}])").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fixture.service->tokenize("x", false, false).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fixture.service->detokenize({1}).status()));
  CompletionRequest request;
  request.prompts = {std::vector<int64_t>{1}};
  request.options.stop = {"x"};
  EXPECT_TRUE(
      absl::IsFailedPrecondition(fixture.service->complete(request, fixture.sink).status()));
  request.options.stop.clear();
  ASSERT_TRUE(fixture.service->complete(request, fixture.sink).ok());
  fixture.engine.token(0, 5);
  fixture.engine.finish(0, FinishReason::kLength, 1);
  EXPECT_EQ(fixture.sink->text(), "");
  EXPECT_EQ(fixture.sink->ids(), std::vector<TokenId>{5});
}

TEST(Service, TokenizeAndDetokenize) {
  Fixture fixture;
  EXPECT_EQ(*fixture.service->tokenize("<s>a", true, true),
            (std::vector<TokenId>{kBos, kBos, 'a'}));
  EXPECT_EQ(*fixture.service->detokenize({kBos, 'a'}), "<s>a");
  EXPECT_EQ(error_param(fixture.service->detokenize({-5}).status()), "tokens");
}

}  // namespace
}  // namespace mokume::testing
