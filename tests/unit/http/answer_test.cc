#include "http/answer.h"

#include <gtest/gtest.h>

#include <limits>

#include "fake_service.h"

namespace mokume::testing {
namespace {

/// The JSON documents of server-sent events, "[DONE]" left out.
std::vector<Json> chunks_of(const std::string& events) {
  std::vector<Json> chunks;
  for (size_t at = 0; at < events.size();) {
    const size_t end = events.find("\n\n", at);
    const std::string line = events.substr(at, end - at);
    EXPECT_TRUE(line.starts_with("data: ")) << line;
    if (line != "data: [DONE]") chunks.push_back(Json::parse(line.substr(6)));
    at = end + 2;
  }
  return chunks;
}

AnswerInfo info_of(int choices = 1) {
  AnswerInfo info;
  info.id = "id";
  info.model = "m";
  info.choices = choices;
  return info;
}

TEST(ChatAnswer, RoleComesOncePerChoice) {
  const auto answer = make_chat_answer(info_of(2));
  std::string out;
  for (const TextEvent& event :
       {text_event("a", 0), text_event("b", 1), text_event("c", 0),
        last_event(FinishReason::kStop, 0, false), last_event(FinishReason::kLength, 1)}) {
    out += answer->stream(event);
  }
  EXPECT_TRUE(answer->done());
  EXPECT_TRUE(out.ends_with("data: [DONE]\n\n"));
  const std::vector<Json> chunks = chunks_of(out);
  ASSERT_EQ(chunks.size(), 5u);
  EXPECT_EQ(chunks[0]["choices"][0]["delta"].dump(), R"({"role":"assistant","content":"a"})");
  EXPECT_EQ(chunks[1]["choices"][0]["delta"].dump(), R"({"role":"assistant","content":"b"})");
  EXPECT_EQ(chunks[2]["choices"][0]["delta"].dump(), R"({"content":"c"})");
  EXPECT_EQ(chunks[3]["choices"][0]["delta"].dump(), "{}");
  EXPECT_EQ(chunks[4]["choices"][0]["finish_reason"], "length");
  EXPECT_FALSE(chunks[0].contains("usage"));
}

TEST(ChatAnswer, UsageComesInAChunkOfItsOwn) {
  AnswerInfo info = info_of();
  info.include_usage = true;
  const auto answer = make_chat_answer(info);
  const std::vector<Json> chunks = chunks_of(answer->stream(last_event()));
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_TRUE(chunks[0]["usage"].is_null());
  EXPECT_TRUE(chunks[1]["choices"].empty());
  EXPECT_EQ(chunks[1]["usage"]["total_tokens"], 8);
}

// A token that completes no character has a chunk all the same: its id.
TEST(ChatAnswer, TokenIdsStandBesideTheText) {
  AnswerInfo info = info_of();
  info.token_ids = true;
  TextEvent first = text_event("");
  first.ids = {7};
  TextEvent last = last_event();
  last.ids = {8, 9};
  for (const auto& make : {make_chat_answer, make_completion_answer}) {
    const auto streamed = make(info);
    EXPECT_EQ(chunks_of(streamed->stream(first))[0]["choices"][0]["token_ids"], Json({7}));
    EXPECT_EQ(chunks_of(streamed->stream(last))[0]["choices"][0]["token_ids"], Json({8, 9}));
    const auto whole = make(info);
    whole->collect(first);
    whole->collect(last);
    const Json body = Json::parse(whole->whole().body);
    EXPECT_EQ(body["choices"][0]["token_ids"], Json({7, 8, 9}));
  }
}

TEST(ChatAnswer, LogprobsHaveBytes) {
  AnswerInfo info = info_of();
  info.logprobs = true;
  const auto answer = make_chat_answer(info);
  TextEvent event = text_event("\xC3\xA9");
  event.logprobs = {{195, "\xC3", -0.5f, {{5, "x", -std::numeric_limits<float>::infinity(), {}}}},
                    {169, "\xA9", -0.25f, {}}};
  const Json content = chunks_of(answer->stream(event))[0]["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(content.size(), 2u);
  EXPECT_EQ(content[0]["bytes"], Json({195}));
  EXPECT_EQ(content[0]["token"], "\xEF\xBF\xBD");
  EXPECT_EQ(content[0]["logprob"], -0.5);
  EXPECT_EQ(content[0]["top_logprobs"][0]["logprob"], -9999.0);
}

TEST(CompletionAnswer, LegacyLogprobsCountCharacters) {
  AnswerInfo info = info_of();
  info.logprobs = true;
  const auto whole = make_completion_answer(info);
  const auto streamed = make_completion_answer(info);
  std::string out;
  for (const char* text : {"h\xC3\xA9", "llo", "!"}) {
    TextEvent event = text_event(text);
    event.logprobs = {{1, text, -1.0f, {{1, text, -1.0f, {}}}}};
    out += streamed->stream(event);
    whole->collect(event);
  }
  whole->collect(last_event());
  const Json logprobs = Json::parse(whole->whole().body)["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json({"h\xC3\xA9", "llo", "!"}));
  EXPECT_EQ(logprobs["token_logprobs"], Json({-1.0, -1.0, -1.0}));
  EXPECT_EQ(logprobs["text_offset"], Json({0, 2, 5}));
  EXPECT_EQ(logprobs["top_logprobs"][1]["llo"], -1.0);
  EXPECT_EQ(chunks_of(out)[2]["choices"][0]["logprobs"]["text_offset"], Json({5}));
}

TEST(Answer, IgnoresWhatComesAfterTheEnd) {
  const auto answer = make_chat_answer(info_of());
  answer->stream(last_event());
  EXPECT_EQ(answer->stream(text_event("late")), "");
  EXPECT_EQ(make_chat_answer(info_of())->stream(text_event("x", 7)), "");
}

}  // namespace
}  // namespace mokume::testing
