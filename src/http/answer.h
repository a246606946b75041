// TextEvents -> the bodies of OpenAI's chat and completion responses, whole or as server-sent
// events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/types.h"
#include "http/reply.h"
#include "tokenizer/json.h"

namespace mokume {

/// What every part of an answer repeats, and how it was asked for.
struct AnswerInfo {
  std::string id;  ///< "chatcmpl-..." or "cmpl-..."
  std::string model;
  int64_t created = 0;  ///< Unix seconds
  bool include_usage = false;
  bool logprobs = false;
  bool token_ids = false;  ///< beside each choice's text
  int choices = 1;
};

/// One call's answer. Use either stream() or collect() and whole(), for every event in order.
class Answer {
 public:
  virtual ~Answer() = default;

  /// The server-sent events for `event`, "" when it has nothing to show; "data: [DONE]" comes with
  /// the last one. A failure gives an event with the error instead, and ends the answer.
  std::string stream(const TextEvent& event);

  void collect(TextEvent event);
  /// Once done(): the whole response, or the error that ended the call.
  Reply whole() const;

  /// The last event has come, or a failed one: nothing follows.
  bool done() const { return done_; }
  bool failed() const { return !failure_.ok(); }

 protected:
  struct Choice {
    bool begun = false;
    std::string text;
    std::vector<TokenId> ids;
    std::vector<TextLogprob> logprobs;
    std::optional<FinishReason> finish;
    int64_t characters = 0;  ///< of the text that logprobs have covered so far
  };

  explicit Answer(AnswerInfo info) : info_(std::move(info)), choices_(info_.choices) {}
  const AnswerInfo& info() const { return info_; }

  virtual const char* whole_object() const = 0;
  virtual const char* chunk_object() const = 0;
  /// An element of `choices`. `choice` is the state that belongs to it.
  virtual Json chunk_choice(const TextEvent& event, Choice& choice) = 0;
  virtual Json whole_choice(int index, const Choice& choice) const = 0;
  /// Whether a choice's first event is worth a chunk though it is empty.
  virtual bool shows_begin() const = 0;

 private:
  Json envelope(const char* object) const;
  bool take_end(const TextEvent& event);

  const AnswerInfo info_;
  std::vector<Choice> choices_;
  Usage usage_;
  Status failure_;
  bool done_ = false;
};

std::unique_ptr<Answer> make_chat_answer(AnswerInfo info);
std::unique_ptr<Answer> make_completion_answer(AnswerInfo info);

/// "stop" or "length".
const char* finish_name(FinishReason reason);

/// A log probability as JSON can say it: minus infinity becomes -9999, as OpenAI has it.
double finite_logprob(float logprob);

}  // namespace mokume
