#include <utility>

#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool special)
    : tokenizer_(std::move(tokenizer)), special_(special) {}

std::string StreamDecoder::push(TokenId id) {
  std::string text;
  pending_ += tokenizer_->token_bytes(id, special_);
  drain_utf8(pending_, text);
  return text;
}

std::string StreamDecoder::finish() {
  const bool unfinished = !pending_.empty();
  pending_.clear();
  return std::string(unfinished ? kReplacementCharacter : "");
}

}  // namespace mokume
