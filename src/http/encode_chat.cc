#include <utility>

#include "base/utf8.h"
#include "http/answer.h"

namespace mokume {
namespace {

Json token_json(const TextLogprob& token) {
  Json json = Json::object();
  json["token"] = replace_invalid_utf8(token.bytes);
  json["logprob"] = finite_logprob(token.logprob);
  json["bytes"] = Json::array();
  for (const char byte : token.bytes) json["bytes"].push_back(static_cast<unsigned char>(byte));
  return json;
}

Json logprobs_json(const std::vector<TextLogprob>& tokens) {
  Json content = Json::array();
  for (const TextLogprob& token : tokens) {
    Json json = token_json(token);
    json["top_logprobs"] = Json::array();
    for (const TextLogprob& top : token.top) json["top_logprobs"].push_back(token_json(top));
    content.push_back(std::move(json));
  }
  Json logprobs = Json::object();
  logprobs["content"] = std::move(content);
  logprobs["refusal"] = nullptr;
  return logprobs;
}

class ChatAnswer final : public Answer {
 public:
  explicit ChatAnswer(AnswerInfo info) : Answer(std::move(info)) {}

 protected:
  const char* whole_object() const override { return "chat.completion"; }
  const char* chunk_object() const override { return "chat.completion.chunk"; }
  bool shows_begin() const override { return true; }

  Json chunk_choice(const TextEvent& event, Choice& choice) override {
    Json delta = Json::object();
    if (!choice.begun) delta["role"] = "assistant";
    if (!choice.begun || !event.text.empty()) delta["content"] = event.text;
    Json json = Json::object();
    json["index"] = event.choice;
    json["delta"] = std::move(delta);
    json["logprobs"] =
        info().logprobs && !event.logprobs.empty() ? logprobs_json(event.logprobs) : Json(nullptr);
    json["finish_reason"] = event.finish ? Json(finish_name(*event.finish)) : Json(nullptr);
    return json;
  }

  Json whole_choice(int index, const Choice& choice) const override {
    Json message = Json::object();
    message["role"] = "assistant";
    message["content"] = choice.text;
    message["refusal"] = nullptr;
    Json json = Json::object();
    json["index"] = index;
    json["message"] = std::move(message);
    json["logprobs"] = info().logprobs ? logprobs_json(choice.logprobs) : Json(nullptr);
    json["finish_reason"] = choice.finish ? Json(finish_name(*choice.finish)) : Json(nullptr);
    return json;
  }
};

}  // namespace

std::unique_ptr<Answer> make_chat_answer(AnswerInfo info) {
  return std::make_unique<ChatAnswer>(std::move(info));
}

}  // namespace mokume
