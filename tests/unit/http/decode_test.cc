#include "http/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/errors.h"
#include "http/target.h"

namespace mokume {
namespace {

using ::testing::HasSubstr;

/// A chat body with one more field.
std::string chat_with(std::string_view field) { return str_cat(R"({"messages":[],)", field, "}"); }

TEST(DecodeChat, ReadsEveryOption) {
  const auto chat = decode_chat(R"({
    "model": "m", "messages": [{"role": "user"}], "tools": [{"a": 1}], "max_completion_tokens": 5, "temperature": 0.5,
    "top_p": 1, "min_p": 0.1, "top_k": 40.0, "presence_penalty": 1, "frequency_penalty": -1, "repeat_penalty": 1.5,
    "seed": -1, "logit_bias": {"5": -100, "6": 1.5}, "stop": ["a", "b"], "n": 2, "ignore_eos": true,
    "logprobs": true, "top_logprobs": 3, "stream": true, "stream_options": {"include_usage": true},
    "chat_template_kwargs": {"k": 1}, "user": "ignored", "response_format": {"type": "text"}, "tool_choice": "auto",
    "return_token_ids": true})");
  ASSERT_TRUE(chat.ok()) << chat.status();
  const GenerationOptions& options = chat->request.options;
  EXPECT_EQ(chat->request.messages_json, R"([{"role":"user"}])");
  EXPECT_EQ(chat->request.tools_json, R"([{"a":1}])");
  EXPECT_EQ(chat->request.template_kwargs_json, R"({"k":1})");
  EXPECT_EQ(options.model, "m");
  EXPECT_EQ(options.max_tokens, 5);
  EXPECT_EQ(options.temperature, 0.5);
  EXPECT_EQ(options.top_p, 1.0);
  EXPECT_EQ(options.min_p, 0.1);
  EXPECT_EQ(options.top_k, 40);
  EXPECT_EQ(options.presence_penalty, 1.0);
  EXPECT_EQ(options.frequency_penalty, -1.0);
  EXPECT_EQ(options.repetition_penalty, 1.5);
  EXPECT_EQ(options.seed, ~uint64_t{0});
  EXPECT_EQ(options.logit_bias, (std::vector<std::pair<int64_t, double>>{{5, -100}, {6, 1.5}}));
  EXPECT_EQ(options.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.n, 2);
  EXPECT_TRUE(options.ignore_eos);
  EXPECT_EQ(options.top_logprobs, 3);
  EXPECT_TRUE(chat->answer.stream);
  EXPECT_TRUE(chat->answer.include_usage);
  EXPECT_TRUE(chat->answer.return_token_ids);
}

TEST(DecodeChat, NullIsAbsent) {
  const auto chat = decode_chat(chat_with(
      R"("temperature":null,"stop":null,"tools":null,"logit_bias":null,"stream_options":null,"logprobs":null,"n":null,
         "functions":null,"response_format":null,"tool_choice":null,"suffix":null)"));
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_FALSE(chat->request.options.temperature);
  EXPECT_EQ(chat->request.tools_json, "");
}

TEST(DecodeChat, LogprobsWithoutAlternatives) {
  EXPECT_EQ(decode_chat(chat_with(R"("logprobs":true)"))->request.options.top_logprobs, 0);
  EXPECT_FALSE(
      decode_chat(chat_with(R"("logprobs":false,"top_logprobs":0)"))->request.options.top_logprobs);
}

TEST(DecodeChat, NoToolsForToolChoiceNone) {
  EXPECT_EQ(decode_chat(chat_with(R"("tools":[{}],"tool_choice":"none")"))->request.tools_json, "");
}

TEST(DecodeChat, RefusalsNameTheField) {
  struct Case {
    const char* field;
    const char* param;
    const char* message;
  };
  for (const Case& c : {
           Case{R"("temperature":"hot")", "temperature", "must be a number, it is a string"},
           Case{R"("temperature":true)", "temperature", "must be a number, it is a boolean"},
           Case{R"("model":5)", "model", "must be a string, it is a number"},
           Case{R"("n":1.5)", "n", "must be an integer"},
           Case{R"("n":1e30)", "n", "must be an integer of 64 bits"},
           Case{R"("n":-1e30)", "n", "must be an integer of 64 bits"},
           Case{R"("max_tokens":18446744073709551615)", "max_tokens",
                "must be an integer of 64 bits"},
           Case{R"("max_tokens":99999999999999999999999)", "max_tokens",
                "must be an integer of 64 bits"},
           Case{R"("max_tokens":5,"max_completion_tokens":6)", "max_tokens", "the same setting"},
           Case{R"("seed":1.5)", "seed", "must be an integer"},
           Case{R"("stream":"yes")", "stream", "must be true or false, it is a string"},
           Case{R"("stream_options":{})", "stream_options", "stream: true"},
           Case{R"("stream":true,"stream_options":[])", "stream_options", "must be an object"},
           Case{R"("stop":5)", "stop", "a string or an array of strings"},
           Case{R"("stop":["a",5])", "stop", "a string or an array of strings"},
           Case{R"("logit_bias":[])", "logit_bias", "must be an object"},
           Case{R"("logit_bias":{"x":1})", "logit_bias", "keys must be token ids"},
           Case{R"("logit_bias":{"1 ":1})", "logit_bias", "keys must be token ids"},
           Case{R"("logit_bias":{"99999999999999999999":1})", "logit_bias",
                "keys must be token ids"},
           Case{R"("logit_bias":{"1":"x"})", "logit_bias", "must be a number"},
           Case{R"("top_logprobs":2)", "top_logprobs", "needs logprobs: true"},
           Case{R"("logprobs":3)", "logprobs", "must be true or false"},
           Case{R"("best_of":2)", "best_of", "must be 1 or equal to n"},
           Case{R"("response_format":{"type":"json_object"})", "response_format", "not supported"},
           Case{R"("response_format":"text")", "response_format", "not supported"},
           Case{R"("modalities":["text","audio"])", "modalities", "not supported"},
           Case{R"("tool_choice":"required")", "tool_choice", "cannot be enforced"},
           Case{R"("tool_choice":{"type":"function"})", "tool_choice", "cannot be enforced"},
           Case{R"("functions":[{}])", "functions", "not supported"},
           Case{R"("guided_json":{"a":1})", "guided_json", "not supported"},
           Case{R"("use_beam_search":true)", "use_beam_search", "not supported"},
       }) {
    const auto chat = decode_chat(chat_with(c.field));
    ASSERT_FALSE(chat.ok()) << c.field;
    EXPECT_EQ(error_param(chat.status()), c.param) << c.field;
    EXPECT_THAT(std::string(chat.status().message()), HasSubstr(c.message)) << c.field;
  }
  EXPECT_EQ(error_param(decode_chat("{}").status()), "messages");
  EXPECT_FALSE(decode_chat("[]").ok());
}

TEST(DecodeCompletion, PromptShapes) {
  EXPECT_EQ(decode_completion(R"({"prompt":"x"})")->request.prompts,
            (std::vector<Prompt>{std::string("x")}));
  EXPECT_EQ(decode_completion(R"({"prompt":["x","y"]})")->request.prompts,
            (std::vector<Prompt>{std::string("x"), std::string("y")}));
  EXPECT_EQ(decode_completion(R"({"prompt":[1,2.0]})")->request.prompts,
            (std::vector<Prompt>{std::vector<int64_t>{1, 2}}));
  EXPECT_EQ(decode_completion(R"({"prompt":[[1],[2]]})")->request.prompts,
            (std::vector<Prompt>{std::vector<int64_t>{1}, std::vector<int64_t>{2}}));
  for (const char* body :
       {R"({})", R"({"prompt":5})", R"({"prompt":{}})", R"({"prompt":["x",[1]]})",
        R"({"prompt":[1,"x"]})", R"({"prompt":[[1],2]})", R"({"prompt":[["x"]]})",
        R"({"prompt":[1,null]})", R"({"prompt":[1e30]})"}) {
    EXPECT_THAT(error_param(decode_completion(body).status()), HasSubstr("prompt")) << body;
  }
}

TEST(DecodeCompletion, Options) {
  const auto body =
      decode_completion(R"({"prompt":"x","logprobs":2,"echo":true,"best_of":2,"n":2,"suffix":""})");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(body->request.options.top_logprobs, 2);
  EXPECT_TRUE(body->request.options.echo);
  EXPECT_FALSE(decode_completion(R"({"prompt":"x","suffix":"y"})").ok());
}

TEST(TargetPath, DecodesAndRefuses) {
  EXPECT_EQ(target_path("/a%20b?x=%zz"), "/a b");
  EXPECT_EQ(target_path("http://host:1/a"), "/a");
  EXPECT_EQ(target_path("http://host"), "/");
  for (const char* bad : {"", "*", "a", "/%", "/%2", "/%g0"}) EXPECT_FALSE(target_path(bad)) << bad;
}

}  // namespace
}  // namespace mokume
