// Turns the tokens of one choice into text events: decodes, finds stop strings, converts logprobs.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "api/call_state.h"
#include "api/stop_matcher.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// Lives on the engine's thread. An id travels with the event in which its text ends, so that text
/// and ids never contradict each other; ids whose text lies wholly in a stop string are dropped, as
/// that text is.
class TextSink final : public TokenSink {
 public:
  struct Options {
    int choice = 0;
    bool logprobs = false;
    std::string prefix;  ///< comes before the first event's text: the echoed prompt
  };

  /// `tokenizer` may be null: then events carry ids and no text, and there may be no stop strings.
  TextSink(std::shared_ptr<CallState> call, std::shared_ptr<const Tokenizer> tokenizer,
           std::shared_ptr<const StopStrings> stop, Options options);

  Verdict on_token(const TokenEvent& event) override;
  void on_finish(const FinishEvent& event) override;

 private:
  struct PendingId {
    TokenId id;
    uint64_t start;               ///< offset of its text in all text decoded
    std::optional<uint64_t> end;  ///< empty while its last character is not whole
    std::optional<TextLogprob> logprob;
  };

  Verdict take(const TokenEvent& event);
  void decode(const TokenEvent& event);
  void append(std::string_view piece);
  void take_ready(TextEvent& event, uint64_t safe);
  TextLogprob convert(const TokenLogprob& logprob) const;

  const std::shared_ptr<CallState> call_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const Options options_;
  std::optional<StreamDecoder> decoder_;
  StopMatcher matcher_;
  bool stopped_ = false;  ///< a stop string is complete
  std::string held_;      ///< decoded, not yet sent
  uint64_t decoded_ = 0;  ///< bytes decoded
  uint64_t sent_ = 0;     ///< bytes sent, the prefix not counted
  std::string prefix_;
  std::deque<PendingId> pending_;
};

}  // namespace mokume
