// A tokenizer for models that have learnt nothing: bytes in, made-up words out.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

enum class ChatStyle { kChatMl, kLlama3 };

struct SyntheticTokenizer {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string chat_template;
};

/// `vocab` tokens: the 256 bytes, which text is encoded in, words of one to three syllables, which
/// only a model says, and the special tokens of the style, at the ids that published models have
/// them at if there are so many, otherwise at the end. There are no merges.
Result<SyntheticTokenizer> make_synthetic_tokenizer(ChatStyle style, int vocab);

}  // namespace mokume
