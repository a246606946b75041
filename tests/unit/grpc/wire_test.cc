// proto <-> api types, without a server.
#include "grpc/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mokume {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(Decode, AbsentOptionsStayAbsent) {
  v1::GenerateRequest request;
  request.set_text("");
  const auto out = decode(request);
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->prompts.size(), 1u);
  EXPECT_EQ(std::get<std::string>(out->prompts[0]), "");
  EXPECT_TRUE(out->add_special);
  const GenerationOptions& options = out->options;
  EXPECT_EQ(options.model, "");
  EXPECT_FALSE(options.max_tokens || options.temperature || options.top_p || options.min_p ||
               options.top_k || options.presence_penalty || options.frequency_penalty ||
               options.repetition_penalty || options.seed || options.n || options.top_logprobs ||
               options.ignore_eos || options.echo);
  EXPECT_TRUE(options.logit_bias.empty());
  EXPECT_TRUE(options.stop.empty());
}

TEST(Decode, EveryOptionArrivesUnharmed) {
  constexpr int64_t kLow = std::numeric_limits<int64_t>::min();
  constexpr int64_t kHigh = std::numeric_limits<int64_t>::max();
  v1::GenerateRequest request;
  request.set_model("m");
  request.set_add_special(false);
  request.mutable_token_ids()->add_ids(kLow);
  request.mutable_token_ids()->add_ids(kHigh);
  v1::GenerationOptions& in = *request.mutable_options();
  in.set_max_tokens(kLow);
  in.set_temperature(std::nan(""));
  in.set_top_p(-1e308);
  in.set_min_p(std::numeric_limits<double>::infinity());
  in.set_top_k(kHigh);
  in.set_presence_penalty(1);
  in.set_frequency_penalty(2);
  in.set_repetition_penalty(3);
  in.set_seed(std::numeric_limits<uint64_t>::max());
  (*in.mutable_logit_bias())[7] = 2.5f;
  (*in.mutable_logit_bias())[-3] = -1e30f;
  in.add_stop("a");
  in.add_stop("");
  in.set_n(kHigh);
  in.set_top_logprobs(0);
  in.set_ignore_eos(true);
  in.set_echo(true);

  const auto out = decode(request);
  ASSERT_TRUE(out.ok());
  EXPECT_FALSE(out->add_special);
  EXPECT_THAT(std::get<std::vector<int64_t>>(out->prompts.at(0)), ElementsAre(kLow, kHigh));
  const GenerationOptions& options = out->options;
  EXPECT_EQ(options.model, "m");
  EXPECT_EQ(options.max_tokens, kLow);
  ASSERT_TRUE(options.temperature);
  EXPECT_TRUE(std::isnan(*options.temperature));
  EXPECT_EQ(options.top_p, -1e308);
  EXPECT_EQ(options.min_p, std::numeric_limits<double>::infinity());
  EXPECT_EQ(options.top_k, kHigh);
  EXPECT_EQ(options.presence_penalty, 1);
  EXPECT_EQ(options.frequency_penalty, 2);
  EXPECT_EQ(options.repetition_penalty, 3);
  EXPECT_EQ(options.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(options.logit_bias, ElementsAre(Pair(-3, double{-1e30f}), Pair(7, 2.5)));
  EXPECT_THAT(options.stop, ElementsAre("a", ""));
  EXPECT_EQ(options.n, kHigh);
  EXPECT_EQ(options.top_logprobs, 0);
  EXPECT_TRUE(options.ignore_eos);
  EXPECT_TRUE(options.echo);
}

TEST(Decode, ChatMessagesBecomeJson) {
  v1::ChatRequest request;
  v1::ChatMessage* message = request.add_messages();
  message->set_role("us\"er\\");
  message->set_content(std::string("a\0\n\x1f\x7f\"\\\xc3\xa9", 9));
  message = request.add_messages();
  message->set_role("assistant");
  message->set_extra_json(" {\"tool_calls\": [{\"z\": 1, \"a\": {}}], \"name\": \"n\"}\n");
  message = request.add_messages();
  message->set_content("");
  message->set_extra_json("{ }");
  const auto out = decode(request);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(
      out->messages_json,
      "[{\"role\":\"us\\\"er\\\\\",\"content\":\"a\\u0000\\u000a\\u001f\x7f\\\"\\\\\xc3\xa9\"},"
      "{\"role\":\"assistant\",\"tool_calls\": [{\"z\": 1, \"a\": {}}], \"name\": \"n\"},"
      "{\"role\":\"\",\"content\":\"\"}]");
  EXPECT_EQ(out->tools_json, "");
  EXPECT_EQ(out->template_kwargs_json, "");
  EXPECT_TRUE(out->add_generation_prompt);
}

TEST(Decode, ExtraJsonMustBeOneObject) {
  const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
  for (const std::string& extra : std::vector<std::string>{
           "null", "[1]", "3", "\"x\"", " ", "{", "}", "{\"a\":1", "{\"a\":1}}",
           "{\"a\":1},{\"b\":2}", "{}{}", "{\"a\":1} x", "{\"a\":\"}", "{\"a\":\"\\\"}",
           "{\"a\":\"\\", "{\"a\":\"\\\\\"},{\"}", "{\"a\":1]", "{\"a\":1],[2}", deep}) {
    v1::ChatRequest request;
    request.add_messages()->set_role("user");
    request.add_messages()->set_extra_json(extra);
    const auto out = decode(request);
    EXPECT_FALSE(out.ok()) << extra.substr(0, 40);
    EXPECT_THAT(std::string(out.status().message()), HasSubstr("messages[1].extra_json"));
  }
}

TEST(Decode, BracesInStringsOfExtraJsonEndNothing) {
  const std::string members = R"("a":"}]\\\"}","b":[{"c":"{"}],"\\":"[")";
  v1::ChatRequest request;
  request.add_messages()->set_extra_json("{" + members + "}");
  const auto out = decode(request);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(out->messages_json, "[{\"role\":\"\"," + members + "}]");
}

TEST(Decode, DeepTemplateKwargsAreRefused) {
  v1::ChatRequest request;
  google::protobuf::Value* value = &(*request.mutable_template_kwargs()->mutable_fields())["a"];
  for (int i = 0; i < 1000; ++i) value = value->mutable_list_value()->add_values();
  const auto out = decode(request);
  EXPECT_EQ(out.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(out.status().message()), HasSubstr("template_kwargs"));
}

TEST(Decode, ChatExtras) {
  v1::ChatRequest request;
  request.set_tools_json("[{\"type\":\"function\"}]");
  request.set_add_generation_prompt(false);
  (*request.mutable_template_kwargs()->mutable_fields())["enable_thinking"].set_bool_value(false);
  const auto out = decode(request);
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->messages_json, "[]");
  EXPECT_EQ(out->tools_json, "[{\"type\":\"function\"}]");
  EXPECT_EQ(out->template_kwargs_json, "{\"enable_thinking\":false}");
  EXPECT_FALSE(out->add_generation_prompt);

  request.mutable_options()->set_echo(true);
  EXPECT_EQ(decode(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SteadyDeadline, FollowsTheCallsClock) {
  const auto near = [](gpr_timespec deadline, std::chrono::seconds expected) {
    const auto out = steady_deadline(deadline);
    if (!out) return false;
    const auto off = *out - std::chrono::steady_clock::now() - expected;
    return off < std::chrono::seconds(1) && off > std::chrono::seconds(-5);
  };
  for (const gpr_clock_type clock : {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
    const gpr_timespec now = gpr_now(clock);
    EXPECT_TRUE(near(gpr_time_add(now, gpr_time_from_seconds(100, GPR_TIMESPAN)),
                     std::chrono::seconds(100)));
    EXPECT_TRUE(
        near(gpr_time_sub(now, gpr_time_from_seconds(7, GPR_TIMESPAN)), std::chrono::seconds(-7)));
    EXPECT_LT(steady_deadline(gpr_inf_past(clock)), std::chrono::steady_clock::now());
    EXPECT_FALSE(steady_deadline(gpr_inf_future(clock)));
    EXPECT_FALSE(steady_deadline({std::numeric_limits<int64_t>::max() - 1, 999999999, clock}));
    EXPECT_FALSE(steady_deadline(gpr_time_add(now, gpr_time_from_hours(99999999, GPR_TIMESPAN))));
  }
}

TEST(Encode, EventCarriesLogprobs) {
  TextEvent event;
  event.choice = 3;
  event.text = "\xc3\xa9";
  event.ids = {5, 6};
  event.logprobs = {{5, "\xc3", -0.5f, {{5, "\xc3", -0.5f, {}}, {9, "x", -1.5f, {}}}},
                    {6, "\xa9", -2, {}}};
  v1::GenerateResponse out;
  ASSERT_TRUE(parse(encode_event<v1::GenerateResponse>(event), out).ok());
  EXPECT_EQ(out.choice_index(), 3);
  EXPECT_EQ(out.text(), "\xc3\xa9");
  EXPECT_THAT(out.token_ids(), ElementsAre(5, 6));
  ASSERT_EQ(out.logprobs_size(), 2);
  EXPECT_EQ(out.logprobs(0).id(), 5);
  EXPECT_EQ(out.logprobs(0).token_bytes(), "\xc3");
  EXPECT_EQ(out.logprobs(0).logprob(), -0.5f);
  ASSERT_EQ(out.logprobs(0).top_size(), 2);
  EXPECT_EQ(out.logprobs(0).top(1).id(), 9);
  EXPECT_EQ(out.logprobs(0).top(1).token_bytes(), "x");
  EXPECT_EQ(out.logprobs(0).top(1).logprob(), -1.5f);
  EXPECT_EQ(out.logprobs(1).top_size(), 0);
  EXPECT_FALSE(out.has_usage());
  EXPECT_EQ(out.finish_reason(), v1::FINISH_REASON_UNSPECIFIED);
}

TEST(ToGrpc, CutsMessagesBetweenCharacters) {
  std::string text = "ab";
  while (text.size() < 100000) text += "\xe2\x82\xac";
  const grpc::Status status = to_grpc(absl::NotFoundError(text));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_LE(status.error_message().size(), 2051u);
  EXPECT_EQ(status.error_message().substr(status.error_message().size() - 6), "\xe2\x82\xac...");
  EXPECT_TRUE(to_grpc(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace mokume
