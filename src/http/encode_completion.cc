#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "http/answer.h"

namespace mokume {
namespace {

/// Characters that begin in `bytes`.
int64_t count_characters(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(), [](char byte) { return (byte & 0xC0) != 0x80; });
}

/// The legacy shape: parallel arrays. `offset` counts the characters of the choice's text before
/// `tokens`, and is moved past them.
Json logprobs_json(const std::vector<TextLogprob>& tokens, int64_t& offset) {
  Json texts = Json::array(), values = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const TextLogprob& token : tokens) {
    texts.push_back(replace_invalid_utf8(token.bytes));
    values.push_back(finite_logprob(token.logprob));
    Json top = Json::object();
    for (const TextLogprob& other : token.top) {
      top[replace_invalid_utf8(other.bytes)] = finite_logprob(other.logprob);
    }
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += count_characters(token.bytes);
  }
  Json logprobs = Json::object();
  logprobs["tokens"] = std::move(texts);
  logprobs["token_logprobs"] = std::move(values);
  logprobs["top_logprobs"] = std::move(tops);
  logprobs["text_offset"] = std::move(offsets);
  return logprobs;
}

class CompletionAnswer final : public Answer {
 public:
  explicit CompletionAnswer(AnswerInfo info) : Answer(std::move(info)) {}

 protected:
  const char* whole_object() const override { return "text_completion"; }
  const char* chunk_object() const override { return "text_completion"; }
  bool shows_begin() const override { return false; }

  Json chunk_choice(const TextEvent& event, Choice& choice) override {
    const bool with_logprobs = info().logprobs && !event.logprobs.empty();
    return choice_json(
        event.choice, event.text,
        with_logprobs ? logprobs_json(event.logprobs, choice.characters) : Json(nullptr),
        event.finish);
  }

  Json whole_choice(int index, const Choice& choice) const override {
    int64_t offset = 0;
    return choice_json(index, choice.text,
                       info().logprobs ? logprobs_json(choice.logprobs, offset) : Json(nullptr),
                       choice.finish);
  }

 private:
  static Json choice_json(int index, const std::string& text, Json logprobs,
                          std::optional<FinishReason> finish) {
    Json json = Json::object();
    json["index"] = index;
    json["text"] = text;
    json["logprobs"] = std::move(logprobs);
    json["finish_reason"] = finish ? Json(finish_name(*finish)) : Json(nullptr);
    return json;
  }
};

}  // namespace

std::unique_ptr<Answer> make_completion_answer(AnswerInfo info) {
  return std::make_unique<CompletionAnswer>(std::move(info));
}

}  // namespace mokume
