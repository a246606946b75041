// The tokenizer that a GGUF file describes in its tokenizer.* keys.
#pragma once

#include <optional>

#include "base/status.h"
#include "tokenizer/tokenizer.h"
#include "weights/gguf.h"

namespace mokume {

/// Empty for tokenizer "none" and for files that say nothing; Unimplemented for models other than
/// "gpt2" (byte-level BPE). Every id is inside the vocabulary, and there is a type for each token
/// or for none.
Result<std::optional<TokenizerSpec>> load_gguf_tokenizer(const GgufFile& file);

/// tokenizer.chat_template, or empty.
Result<std::string> load_gguf_chat_template(const GgufFile& file);

}  // namespace mokume
