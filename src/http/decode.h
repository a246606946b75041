// Request bodies of the HTTP API -> api types. All functions take any bytes; errors are
// InvalidArgument and name the field. Unknown fields are ignored, as OpenAI's clients send many;
// known ones that mokume cannot honour are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/types.h"
#include "base/status.h"

namespace mokume {

/// How the answer is to look.
struct AnswerOptions {
  bool stream = false;
  bool include_usage = false;
  bool return_token_ids = false;  ///< vLLM's name: token_ids beside each choice's text
};

struct ChatBody {
  ChatRequest request;
  AnswerOptions answer;
};

struct CompletionBody {
  CompletionRequest request;
  AnswerOptions answer;
};

/// llama.cpp's names (content, add_special, parse_special) or vLLM's (prompt, add_special_tokens),
/// with the defaults of whichever named the text: llama.cpp adds no special tokens, vLLM does.
struct TokenizeBody {
  std::string text;
  bool add_special = false;
  bool parse_special = true;
};

Result<ChatBody> decode_chat(std::string_view body);
Result<CompletionBody> decode_completion(std::string_view body);
Result<TokenizeBody> decode_tokenize(std::string_view body);
Result<std::vector<int64_t>> decode_detokenize(std::string_view body);

}  // namespace mokume
