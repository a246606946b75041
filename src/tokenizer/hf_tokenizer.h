// tokenizer.json, as Hugging Face's tokenizers library writes it.
#pragma once

#include <string_view>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// Byte-level BPE with what the families of language models use: normalizer NFC; pre-tokenizers
/// Split, Digits, Punctuation and ByteLevel; added tokens; a template that adds BOS and EOS. What
/// has no place here (SentencePiece's alphabet, Unigram, WordPiece, other normalizers, ...) is
/// Unimplemented, naming the key; what is wrong is InvalidArgument. `name` is the file's, for
/// messages.
///
/// The ids are those of the tokenizers library, with three exceptions that only text far from
/// language meets: a byte without a token and without an unknown token is an error rather than
/// dropped, special tokens are never made by merging plain text, and the Unicode version is that of
/// PCRE2. Ids that no token has become unused tokens, so that tokens.size() is the greatest id plus
/// one. `eos` and `end_of_generation` are not in this file: see hf_tokenizer_config.h.
Result<TokenizerSpec> parse_tokenizer_json(std::string_view text, std::string_view name);
inline constexpr size_t kMaxTokenizerJsonBytes = size_t{64} << 20;

/// What an unused id reads like: "[PAD7]".
std::string unused_token_text(size_t id);

}  // namespace mokume
