// The parsers' view of the tokens.
#pragma once

#include <string_view>
#include <vector>

#include "tokenizer/jinja/error.h"
#include "tokenizer/jinja/lexer.h"

namespace mokume::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token next() {
    Token token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool at(TokenKind kind) const { return peek().kind == kind; }
  bool at_symbol(std::string_view symbol) const {
    return at(TokenKind::kSymbol) && peek().text == symbol;
  }
  bool at_name(std::string_view name) const { return at(TokenKind::kName) && peek().text == name; }
  bool skip_symbol(std::string_view symbol) {
    if (!at_symbol(symbol)) return false;
    next();
    return true;
  }
  bool skip_name(std::string_view name) {
    if (!at_name(name)) return false;
    next();
    return true;
  }
  void expect_symbol(std::string_view symbol) {
    if (!skip_symbol(symbol)) unexpected(str_cat("'", symbol, "'"));
  }
  std::string expect_name() {
    if (!at(TokenKind::kName)) unexpected("a name");
    return next().text;
  }
  void expect(TokenKind kind, std::string_view what) {
    if (!at(kind)) unexpected(what);
    next();
  }

  [[noreturn]] void unexpected(std::string_view expected) const;

  template <typename... Args>
  [[noreturn]] void error(const Args&... args) const {
    fail(args..., " (line ", peek().line, ", column ", peek().column, ")");
  }

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

/// Counts how deep the parser is inside constructs that it parses by recursion.
class Nesting {
 public:
  Nesting(int& depth, const TokenStream& tokens) : depth_(depth) {
    if (++depth_ > kMax) {
      --depth_;
      tokens.error("the template is nested deeper than ", kMax);
    }
  }
  ~Nesting() { --depth_; }
  static constexpr int kMax = 100;

 private:
  int& depth_;
};

}  // namespace mokume::jinja
