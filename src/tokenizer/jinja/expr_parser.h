// Expressions.
#pragma once

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/token_stream.h"

namespace mokume::jinja {

class ExprParser {
 public:
  /// `nesting` is shared with the parser of statements.
  ExprParser(TokenStream& tokens, int& nesting) : tokens_(tokens), nesting_(nesting) {}

  /// One expression, `a if b else c` included.
  ExprPtr parse() { return parse_cond(); }
  /// As parse(), without the inline if.
  ExprPtr parse_or();
  /// One expression, or a tuple of several without parentheses.
  ExprPtr parse_tuple(bool with_cond = true);
  /// A name and what follows it: attributes, subscripts, calls.
  ExprPtr parse_postfixed_primary();
  /// The filters after `operand` (null in a filter block); the first `|` is already read.
  ExprPtr parse_filters(ExprPtr operand);

 private:
  ExprPtr make(ExprKind kind, int line, std::vector<ExprPtr> operands) const;
  void adopt(Expr& parent, ExprPtr child) const;
  ExprPtr parse_cond();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  bool take_compare_operator(Operator& op);
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_constant();
  ExprPtr parse_parenthesized();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr operand);
  ExprPtr parse_attribute(ExprPtr operand);
  ExprPtr parse_subscript(ExprPtr operand);
  ExprPtr parse_call(ExprPtr callee);
  ExprPtr parse_filters_and_tests(ExprPtr operand);
  ExprPtr parse_filter(ExprPtr operand);
  ExprPtr parse_test(ExprPtr operand);
  void parse_arguments(Expr& call);

  TokenStream& tokens_;
  int& nesting_;
};

}  // namespace mokume::jinja
