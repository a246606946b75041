// A tokenizer as the files of a Hugging Face directory.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// The texts of the files of these names.
struct HfTokenizerFiles {
  std::string tokenizer_json;
  std::string tokenizer_config_json;   ///< with the chat template
  std::string generation_config_json;  ///< with the ids that end an answer
};

/// Files that parse_tokenizer_json() and its siblings read back to the same ids, as Hugging Face's
/// tokenizers library does. Left out are unused tokens and, of tokens with the same text, all but
/// the lowest id: no text leads to them. InvalidArgument, naming the token or merge, for what
/// tokenizer.json cannot hold: a token that is not UTF-8, a merge whose sides or whose result are
/// no tokens; NotFound for an unknown pre-tokenizer. `spec` must be one that Tokenizer::create()
/// takes.
Result<HfTokenizerFiles> write_hf_tokenizer(const TokenizerSpec& spec,
                                            std::string_view chat_template);

}  // namespace mokume
