// Splits a template into text and the tokens of its tags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mokume::jinja {

enum class TokenKind {
  kText,         ///< literal text of the template, white space already trimmed
  kOutputBegin,  ///< {{
  kOutputEnd,    ///< }}
  kBlockBegin,   ///< {%
  kBlockEnd,     ///< %}
  kName,
  kString,   ///< text is the decoded string
  kInteger,  ///< text is decimal, hexadecimal (0x), octal (0o) or binary (0b)
  kFloat,
  kSymbol,  ///< an operator or punctuation mark
  kEnd,     ///< of the template
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
  int column;  ///< in bytes, from 1
};

/// Tokens, the last one kEnd. Trims as trim_blocks and lstrip_blocks say, and drops one newline at
/// the end of the template, as published templates expect. Throws Error.
std::vector<Token> tokenize(std::string_view source);

}  // namespace mokume::jinja
