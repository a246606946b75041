#include "api/text_sink.h"

#include <exception>
#include <utility>

namespace mokume {

TextSink::TextSink(std::shared_ptr<CallState> call, std::shared_ptr<const Tokenizer> tokenizer,
                   std::shared_ptr<const StopStrings> stop, Options options)
    : call_(std::move(call)),
      tokenizer_(std::move(tokenizer)),
      options_(std::move(options)),
      matcher_(std::move(stop)),
      prefix_(options_.prefix) {
  if (tokenizer_) decoder_.emplace(tokenizer_);
}

TokenSink::Verdict TextSink::on_token(const TokenEvent& event) {
  try {
    return take(event);
  } catch (const std::exception&) {  // out of memory: this call pays, the engine goes on
    return Verdict::kCancel;
  }
}

TokenSink::Verdict TextSink::take(const TokenEvent& token) {
  if (call_->cancelled()) return Verdict::kCancel;
  if (stopped_) return Verdict::kStop;
  if (token.is_stop) return Verdict::kContinue;
  decode(token);
  TextEvent event;
  take_ready(event, matcher_.safe());
  if ((!event.text.empty() || !event.ids.empty()) && !call_->push(std::move(event)))
    return Verdict::kCancel;
  return stopped_ ? Verdict::kStop : Verdict::kContinue;
}

void TextSink::on_finish(const FinishEvent& finish) {
  try {
    if (decoder_ && !stopped_) append(decoder_->finish());
    for (PendingId& id : pending_) {
      if (!id.end) id.end = decoded_;
    }
    TextEvent event;
    const bool failed =
        finish.reason != FinishReason::kStop && finish.reason != FinishReason::kLength;
    event.finish = stopped_ && !failed ? FinishReason::kStop : finish.reason;
    event.status = finish.status;
    // What could have become a stop string did not.
    take_ready(event, stopped_ ? matcher_.safe() : decoded_);
    call_->push_last(std::move(event), finish.generated_tokens);
  } catch (const std::exception&) {
    call_->cancel();
  }
}

void TextSink::decode(const TokenEvent& token) {
  PendingId pending{token.id, decoded_, decoded_, std::nullopt};
  if (options_.logprobs) {
    pending.logprob = convert(token.chosen);
    for (const TokenLogprob& top : token.top) pending.logprob->top.push_back(convert(top));
  }
  if (decoder_) {
    const std::string piece = decoder_->push(token.id);
    append(piece);
    if (!piece.empty()) {
      for (PendingId& earlier : pending_) {
        if (!earlier.end) earlier.end = decoded_;
      }
    }
    pending.end = decoder_->holds_back() ? std::nullopt : std::optional(decoded_);
  }
  pending_.push_back(std::move(pending));
}

void TextSink::append(std::string_view piece) {
  held_ += piece;
  decoded_ += piece.size();
  stopped_ = matcher_.push(piece);
}

/// Moves the first `safe` bytes of all text, as far as not yet sent, and the ids that end there to
/// `event`.
void TextSink::take_ready(TextEvent& event, uint64_t safe) {
  event.choice = options_.choice;
  event.text = std::exchange(prefix_, {});
  event.text.append(held_, 0, safe - sent_);
  held_.erase(0, safe - sent_);
  sent_ = safe;
  // A token that begins before the stop string goes along, though it may end inside it.
  const auto ready = [&](const PendingId& id) {
    return (id.end && *id.end <= sent_) || (stopped_ && id.start < sent_);
  };
  while (!pending_.empty() && ready(pending_.front())) {
    event.ids.push_back(pending_.front().id);
    if (pending_.front().logprob) event.logprobs.push_back(std::move(*pending_.front().logprob));
    pending_.pop_front();
  }
}

TextLogprob TextSink::convert(const TokenLogprob& logprob) const {
  return {logprob.id,
          tokenizer_ ? tokenizer_->token_bytes(logprob.id, true) : std::string(),
          logprob.logprob,
          {}};
}

}  // namespace mokume
