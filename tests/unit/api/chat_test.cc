#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/errors.h"
#include "fakes.h"

namespace mokume::testing {
namespace {

using nlohmann::ordered_json;
using ::testing::HasSubstr;

std::string message_of(const Status& status) { return std::string(client_message(status)); }

std::string prompt_text(const Fixture& fixture) {
  std::string text;
  for (const TokenId id : fixture.engine.requests.at(0).prompt)
    text += fixture.tokenizer->token_bytes(id, true);
  return text;
}

TEST(Chat, RendersAndEncodes) {
  Fixture fixture;
  ASSERT_TRUE(fixture.chat(R"([{"role":"user","content":"hi"}])").ok());
  EXPECT_EQ(prompt_text(fixture), "<s>user:hi;");
  const ordered_json& context = fixture.chat_template->last_context;
  EXPECT_EQ(context["add_generation_prompt"], true);
  EXPECT_EQ(context["bos_token"], "<s>");
  EXPECT_EQ(context["eos_token"], "</s>");
  EXPECT_FALSE(context.contains("tools"));
}

TEST(Chat, BosIsNotAddedTwice) {
  Fixture fixture;
  fixture.chat_template->with_bos = true;
  ASSERT_TRUE(fixture.chat(R"([{"role":"user","content":"hi"}])").ok());
  EXPECT_EQ(prompt_text(fixture), "<s>user:hi;");
}

TEST(Chat, TextPartsAreJoined) {
  Fixture fixture;
  ASSERT_TRUE(
      fixture
          .chat(
              R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])")
          .ok());
  EXPECT_EQ(prompt_text(fixture), "<s>user:ab;");
}

TEST(Chat, NullContentIsEmptyButBesideToolCalls) {
  Fixture fixture;
  ASSERT_TRUE(
      fixture
          .chat(R"([{"role":"user","content":null},{"role":"assistant","content":null,"tool_calls":
                        [{"id":"1","function":{"name":"f","arguments":"{\"x\":1}"}}]}])")
          .ok());
  const ordered_json& messages = fixture.chat_template->last_context["messages"];
  EXPECT_EQ(messages[0]["content"], "");
  EXPECT_TRUE(messages[1]["content"].is_null());
  EXPECT_EQ(messages[1]["tool_calls"][0]["function"]["arguments"]["x"], 1);
}

TEST(Chat, ToolsAndKwargsReachTheTemplate) {
  Fixture fixture;
  ChatRequest request;
  request.messages_json = R"([{"role":"user","content":"x"}])";
  request.tools_json = R"([{"type":"function"}])";
  request.template_kwargs_json = R"({"enable_thinking":false})";
  request.add_generation_prompt = false;
  ASSERT_TRUE(fixture.service->chat(request, fixture.sink).ok());
  const ordered_json& context = fixture.chat_template->last_context;
  EXPECT_EQ(context["tools"][0]["type"], "function");
  EXPECT_EQ(context["enable_thinking"], false);
  EXPECT_EQ(context["add_generation_prompt"], false);
}

TEST(Chat, KwargsMayNotReplaceTheMessages) {
  Fixture fixture;
  ChatRequest request;
  request.messages_json = R"([{"role":"user","content":"x"}])";
  for (const char* kwargs : {R"({"messages":[]})", R"({"bos_token":""})", "[1]", "{"}) {
    request.template_kwargs_json = kwargs;
    EXPECT_TRUE(absl::IsInvalidArgument(fixture.service->chat(request, fixture.sink).status()))
        << kwargs;
  }
  request.template_kwargs_json.clear();
  for (const char* tools : {"{}", "[1]", "x"}) {
    request.tools_json = tools;
    EXPECT_TRUE(absl::IsInvalidArgument(fixture.service->chat(request, fixture.sink).status()))
        << tools;
  }
}

TEST(Chat, BadMessagesAreNamed) {
  struct Case {
    const char* messages;
    const char* message;
  };
  for (const Case& c : {
           Case{"", "not acceptable JSON"},
           Case{"[]", "at least one"},
           Case{"{}", "must be an array"},
           Case{"[1]", "messages[0] must be an object"},
           Case{R"([{"content":"x"}])", "messages[0].role must be a string"},
           Case{R"([{"role":1,"content":"x"}])", "messages[0].role must be a string"},
           Case{R"([{"role":"","content":"x"}])", "messages[0].role must be a string"},
           Case{R"([{"role":"user"}])", "messages[0].content is missing"},
           Case{R"([{"role":"user","content":"x"},{"role":"user","content":5}])",
                "messages[1].content must be"},
           Case{R"([{"role":"user","content":[5]}])", "messages[0].content[0] must be an object"},
           Case{R"([{"role":"user","content":[{"type":"image_url"}]}])", "takes only \"text\""},
           Case{R"([{"role":"user","content":[{"type":"text"}]}])",
                "messages[0].content[0].text must be a string"},
           Case{R"([{"role":"assistant","content":"","tool_calls":{}}])",
                "messages[0].tool_calls must be an array"},
           Case{R"([{"role":"assistant","content":"","tool_calls":[1]}])", "must hold objects"},
       }) {
    Fixture fixture;
    const Status status = fixture.chat(c.messages).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.messages;
    EXPECT_THAT(message_of(status), HasSubstr(c.message)) << c.messages;
  }
}

TEST(Chat, TemplateErrorsAreTheClients) {
  Fixture fixture;
  fixture.chat_template->failure = resource_exhausted("template", "more than 10 steps");
  const Status status = fixture.chat(R"([{"role":"user","content":"x"}])").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(message_of(status), HasSubstr("more than 10 steps"));
}

TEST(Chat, LengthErrorNamesTheMessages) {
  Fixture fixture;
  const Status status =
      fixture.chat(R"([{"role":"user","content":")" + std::string(200, 'x') + "\"}]").status();
  EXPECT_EQ(error_code(status), "context_length_exceeded");
  EXPECT_EQ(error_param(status), "messages");
}

}  // namespace
}  // namespace mokume::testing
