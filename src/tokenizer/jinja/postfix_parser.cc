// Primary expressions and what may follow them.
#include <charconv>

#include "tokenizer/jinja/expr_parser.h"

namespace mokume::jinja {
namespace {

int64_t parse_integer(const TokenStream& tokens, std::string_view text) {
  int base = 10;
  if (text.size() > 2 && text[0] == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) text.remove_prefix(2);
  }
  int64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    tokens.error("'", text.substr(0, 60), "' is no integer of 64 bits");
  }
  return value;
}

double parse_float(const std::string& text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : std::strtod(text.c_str(), nullptr);
}

}  // namespace

ExprPtr ExprParser::parse_constant() {
  const Token& token = tokens_.peek();
  ExprPtr expr = std::make_unique<Expr>(Expr{ExprKind::kConst, token.line});
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (tokens_.at(TokenKind::kString)) text += tokens_.next().text;
    expr->value = Value::constant(std::move(text));
  } else if (token.kind == TokenKind::kInteger) {
    expr->value = Value::integer(parse_integer(tokens_, token.text));
    tokens_.next();
  } else {
    expr->value = Value::real(parse_float(tokens_.next().text));
  }
  return expr;
}

ExprPtr ExprParser::parse_primary() {
  const Token& token = tokens_.peek();
  if (token.kind == TokenKind::kString || token.kind == TokenKind::kInteger ||
      token.kind == TokenKind::kFloat) {
    return parse_constant();
  }
  if (tokens_.at_symbol("(")) return parse_parenthesized();
  if (tokens_.at_symbol("[")) return parse_list();
  if (tokens_.at_symbol("{")) return parse_dict();
  if (token.kind != TokenKind::kName) tokens_.unexpected("an expression");
  ExprPtr expr = std::make_unique<Expr>(Expr{ExprKind::kConst, token.line});
  const std::string name = tokens_.next().text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    expr->value = Value::boolean(name == "true" || name == "True");
  } else if (name == "none" || name == "None") {
    expr->value = Value::none();
  } else {
    expr->kind = ExprKind::kName;
    expr->name = name;
  }
  return expr;
}

ExprPtr ExprParser::parse_parenthesized() {
  const int line = tokens_.next().line;
  if (tokens_.skip_symbol(")")) return make(ExprKind::kTuple, line, {});
  ExprPtr expr = parse_tuple();
  tokens_.expect_symbol(")");
  return expr;
}

ExprPtr ExprParser::parse_list() {
  ExprPtr list = make(ExprKind::kList, tokens_.next().line, {});
  while (!tokens_.at_symbol("]")) {
    if (!list->operands.empty()) tokens_.expect_symbol(",");
    if (tokens_.at_symbol("]")) break;
    adopt(*list, parse());
  }
  tokens_.expect_symbol("]");
  return list;
}

ExprPtr ExprParser::parse_dict() {
  ExprPtr dict = make(ExprKind::kDict, tokens_.next().line, {});
  while (!tokens_.at_symbol("}")) {
    if (!dict->operands.empty()) tokens_.expect_symbol(",");
    if (tokens_.at_symbol("}")) break;
    adopt(*dict, parse());
    tokens_.expect_symbol(":");
    adopt(*dict, parse());
  }
  tokens_.expect_symbol("}");
  return dict;
}

ExprPtr ExprParser::parse_postfixed_primary() { return parse_postfix(parse_primary()); }

ExprPtr ExprParser::parse_postfix(ExprPtr expr) {
  while (true) {
    if (tokens_.at_symbol(".")) {
      expr = parse_attribute(std::move(expr));
    } else if (tokens_.at_symbol("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (tokens_.at_symbol("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExprParser::parse_call(ExprPtr callee) {
  ExprPtr call = make(ExprKind::kCall, tokens_.peek().line, {});
  adopt(*call, std::move(callee));
  parse_arguments(*call);
  return call;
}

ExprPtr ExprParser::parse_attribute(ExprPtr operand) {
  const int line = tokens_.next().line;
  ExprPtr access = make(ExprKind::kAttr, line, {});
  adopt(*access, std::move(operand));
  if (tokens_.at(TokenKind::kInteger)) {
    access->kind = ExprKind::kItem;
    adopt(*access, parse_constant());
  } else {
    access->name = tokens_.expect_name();
  }
  return access;
}

ExprPtr ExprParser::parse_subscript(ExprPtr operand) {
  ExprPtr access = make(ExprKind::kItem, tokens_.next().line, {});
  adopt(*access, std::move(operand));
  const auto part = [&]() -> ExprPtr {
    if (tokens_.at_symbol(":") || tokens_.at_symbol("]")) return nullptr;
    return parse();
  };
  if (tokens_.at_symbol("]")) tokens_.unexpected("a subscript");
  adopt(*access, part());
  if (tokens_.skip_symbol(":")) {
    access->kind = ExprKind::kSlice;
    adopt(*access, part());
    adopt(*access, tokens_.skip_symbol(":") ? part() : nullptr);
  }
  tokens_.expect_symbol("]");
  return access;
}

void ExprParser::parse_arguments(Expr& call) {
  tokens_.expect_symbol("(");
  for (bool first = true; !tokens_.at_symbol(")"); first = false) {
    if (!first) tokens_.expect_symbol(",");
    if (tokens_.at_symbol(")")) break;
    if (tokens_.at_symbol("*") || tokens_.at_symbol("**")) {
      tokens_.error("arguments from a list or mapping (* and **) are not supported");
    }
    const bool is_named = tokens_.at(TokenKind::kName) &&
                          tokens_.peek(1).kind == TokenKind::kSymbol && tokens_.peek(1).text == "=";
    if (is_named) {
      const std::string name = tokens_.next().text;
      tokens_.next();
      ExprPtr value = parse();
      call.depth = std::max(call.depth, value->depth + 1);
      call.named.emplace_back(name, std::move(value));
    } else if (!call.named.empty()) {
      tokens_.error("an argument without a name follows one with a name");
    } else {
      adopt(call, parse());
    }
  }
  tokens_.expect_symbol(")");
}

ExprPtr ExprParser::parse_filters_and_tests(ExprPtr expr) {
  while (true) {
    if (tokens_.skip_symbol("|")) {
      expr = parse_filter(std::move(expr));
    } else if (tokens_.at_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (tokens_.at_symbol("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExprParser::parse_filter(ExprPtr operand) {
  ExprPtr filter = make(ExprKind::kFilter, tokens_.peek().line, {});
  adopt(*filter, std::move(operand));
  filter->name = tokens_.expect_name();
  if (tokens_.at_symbol("(")) parse_arguments(*filter);
  return filter;
}

ExprPtr ExprParser::parse_filters(ExprPtr operand) {
  do {
    operand = parse_filter(std::move(operand));
  } while (tokens_.skip_symbol("|"));
  return operand;
}

ExprPtr ExprParser::parse_test(ExprPtr operand) {
  const int line = tokens_.next().line;
  const bool negated = tokens_.skip_name("not");
  ExprPtr test = make(ExprKind::kTest, line, {});
  adopt(*test, std::move(operand));
  test->name = tokens_.expect_name();
  const auto& next = tokens_.peek();
  const bool has_operand =
      (next.kind == TokenKind::kName && next.text != "else" && next.text != "or" &&
       next.text != "and" && next.text != "is" && next.text != "if") ||
      next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
      next.kind == TokenKind::kFloat || tokens_.at_symbol("[") || tokens_.at_symbol("{");
  if (tokens_.at_symbol("(")) {
    parse_arguments(*test);
  } else if (has_operand) {
    adopt(*test, parse_postfixed_primary());
  }
  if (!negated) return test;
  ExprPtr result = make(ExprKind::kNot, line, {});
  adopt(*result, std::move(test));
  return result;
}

}  // namespace mokume::jinja
