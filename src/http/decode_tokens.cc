#include <utility>

#include "api/errors.h"
#include "http/decode.h"
#include "http/fields.h"

namespace mokume {

Result<TokenizeBody> decode_tokenize(std::string_view body) {
  MKM_ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  TokenizeBody tokenize;
  const bool has_prompt = fields.find("prompt") != nullptr;
  if (has_prompt == (fields.find("content") != nullptr)) {
    return field_error("content", "give the text as content or as prompt, one of them");
  }
  tokenize.add_special = has_prompt;
  fields.read(has_prompt ? "prompt" : "content", tokenize.text);
  fields.read("add_special", tokenize.add_special);
  fields.read("add_special_tokens", tokenize.add_special);
  fields.read("parse_special", tokenize.parse_special);
  MKM_RETURN_IF_ERROR(fields.status());
  return tokenize;
}

Result<std::vector<int64_t>> decode_detokenize(std::string_view body) {
  MKM_ASSIGN_OR_RETURN(const Json json, parse_body(body));
  const Json* tokens = Fields(json).find("tokens");
  if (!tokens) return field_error("tokens", "tokens is missing: an array of token ids");
  return to_integers(*tokens, "tokens");
}

}  // namespace mokume
