#include "tokenizer/jinja/token_stream.h"

namespace mokume::jinja {

void TokenStream::unexpected(std::string_view expected) const {
  const Token& token = peek();
  switch (token.kind) {
    case TokenKind::kEnd:
      error("the template ends where ", expected, " was expected");
    case TokenKind::kOutputEnd:
      error("'}}' where ", expected, " was expected");
    case TokenKind::kBlockEnd:
      error("'%}' where ", expected, " was expected");
    default:
      error("'", std::string_view(token.text).substr(0, 60), "' where ", expected, " was expected");
  }
}

}  // namespace mokume::jinja
