#include "tokenizer/jinja/expr_parser.h"

namespace mokume::jinja {

void ExprParser::adopt(Expr& parent, ExprPtr child) const {
  if (child) {
    parent.depth = std::max(parent.depth, child->depth + 1);
    if (parent.depth > Nesting::kMax) {
      tokens_.error("the expression is nested deeper than ", Nesting::kMax);
    }
  }
  parent.operands.push_back(std::move(child));
}

ExprPtr ExprParser::make(ExprKind kind, int line, std::vector<ExprPtr> operands) const {
  auto expr = std::make_unique<Expr>(Expr{kind, line});
  for (ExprPtr& operand : operands) adopt(*expr, std::move(operand));
  return expr;
}

namespace {

std::vector<ExprPtr> list_of(ExprPtr first) {
  std::vector<ExprPtr> operands;
  operands.push_back(std::move(first));
  return operands;
}

}  // namespace

ExprPtr ExprParser::parse_tuple(bool with_cond) {
  const int line = tokens_.peek().line;
  const auto item = [&] { return with_cond ? parse() : parse_or(); };
  ExprPtr first = item();
  if (!tokens_.at_symbol(",")) return first;
  ExprPtr tuple = make(ExprKind::kTuple, line, list_of(std::move(first)));
  while (tokens_.skip_symbol(",")) {
    const bool ends = tokens_.at(TokenKind::kBlockEnd) || tokens_.at(TokenKind::kOutputEnd) ||
                      tokens_.at_symbol(")") || tokens_.at_name("in") ||
                      tokens_.at_name("recursive");
    if (ends) break;
    adopt(*tuple, item());
  }
  return tuple;
}

ExprPtr ExprParser::parse_cond() {
  const Nesting guard(nesting_, tokens_);
  const int line = tokens_.peek().line;
  ExprPtr expr = parse_or();
  while (tokens_.skip_name("if")) {
    ExprPtr test = parse_or();
    ExprPtr otherwise = tokens_.skip_name("else") ? parse_cond() : nullptr;
    ExprPtr cond = make(ExprKind::kCond, line, list_of(std::move(test)));
    adopt(*cond, std::move(expr));
    adopt(*cond, std::move(otherwise));
    expr = std::move(cond);
  }
  return expr;
}

ExprPtr ExprParser::parse_or() {
  ExprPtr expr = parse_and();
  if (!tokens_.at_name("or")) return expr;
  ExprPtr all = make(ExprKind::kOr, expr->line, {});
  adopt(*all, std::move(expr));
  while (tokens_.skip_name("or")) adopt(*all, parse_and());
  return all;
}

ExprPtr ExprParser::parse_and() {
  ExprPtr expr = parse_not();
  if (!tokens_.at_name("and")) return expr;
  ExprPtr all = make(ExprKind::kAnd, expr->line, {});
  adopt(*all, std::move(expr));
  while (tokens_.skip_name("and")) adopt(*all, parse_not());
  return all;
}

ExprPtr ExprParser::parse_not() {
  const int line = tokens_.peek().line;
  if (!tokens_.skip_name("not")) return parse_compare();
  const Nesting guard(nesting_, tokens_);
  return make(ExprKind::kNot, line, list_of(parse_not()));
}

bool ExprParser::take_compare_operator(Operator& op) {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::kEqual},        {"!=", Operator::kNotEqual}, {"<=", Operator::kLessEqual},
      {">=", Operator::kGreaterEqual}, {"<", Operator::kLess},      {">", Operator::kGreater}};
  for (const auto& [symbol, meaning] : kOperators) {
    op = meaning;
    if (tokens_.skip_symbol(symbol)) return true;
  }
  op = Operator::kIn;
  if (tokens_.skip_name("in")) return true;
  if (!tokens_.at_name("not") || tokens_.peek(1).kind != TokenKind::kName ||
      tokens_.peek(1).text != "in") {
    return false;
  }
  tokens_.next();
  tokens_.next();
  op = Operator::kNotIn;
  return true;
}

ExprPtr ExprParser::parse_compare() {
  ExprPtr expr = parse_sum();
  Operator op;
  if (!take_compare_operator(op)) return expr;
  ExprPtr chain = make(ExprKind::kCompare, expr->line, {});
  adopt(*chain, std::move(expr));
  do {
    chain->operators.push_back(op);
    adopt(*chain, parse_sum());
  } while (take_compare_operator(op));
  return chain;
}

ExprPtr ExprParser::parse_sum() {
  ExprPtr expr = parse_concat();
  if (!tokens_.at_symbol("+") && !tokens_.at_symbol("-")) return expr;
  ExprPtr chain = make(ExprKind::kMath, expr->line, {});
  adopt(*chain, std::move(expr));
  while (tokens_.at_symbol("+") || tokens_.at_symbol("-")) {
    chain->operators.push_back(tokens_.next().text == "+" ? Operator::kAdd : Operator::kSubtract);
    adopt(*chain, parse_concat());
  }
  return chain;
}

ExprPtr ExprParser::parse_concat() {
  ExprPtr expr = parse_product();
  if (!tokens_.at_symbol("~")) return expr;
  ExprPtr all = make(ExprKind::kConcat, expr->line, {});
  adopt(*all, std::move(expr));
  while (tokens_.skip_symbol("~")) adopt(*all, parse_product());
  return all;
}

ExprPtr ExprParser::parse_product() {
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"*", Operator::kMultiply},
      {"/", Operator::kDivide},
      {"//", Operator::kFloorDivide},
      {"%", Operator::kModulo}};
  ExprPtr expr = parse_power();
  ExprPtr chain;
  for (bool found = true; found;) {
    found = false;
    for (const auto& [symbol, op] : kOperators) {
      if (!tokens_.skip_symbol(symbol)) continue;
      if (!chain) {
        chain = make(ExprKind::kMath, expr->line, {});
        adopt(*chain, std::move(expr));
      }
      chain->operators.push_back(op);
      adopt(*chain, parse_power());
      found = true;
    }
  }
  return chain ? std::move(chain) : std::move(expr);
}

ExprPtr ExprParser::parse_power() {
  ExprPtr expr = parse_unary(true);
  if (!tokens_.at_symbol("**")) return expr;
  ExprPtr chain = make(ExprKind::kMath, expr->line, {});
  adopt(*chain, std::move(expr));
  while (tokens_.skip_symbol("**")) {
    chain->operators.push_back(Operator::kPower);
    adopt(*chain, parse_unary(true));
  }
  return chain;
}

ExprPtr ExprParser::parse_unary(bool with_filters) {
  const Nesting guard(nesting_, tokens_);
  const int line = tokens_.peek().line;
  ExprPtr expr;
  if (tokens_.skip_symbol("-")) {
    expr = make(ExprKind::kNegative, line, list_of(parse_unary(false)));
  } else if (tokens_.skip_symbol("+")) {
    expr = make(ExprKind::kPositive, line, list_of(parse_unary(false)));
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filters ? parse_filters_and_tests(std::move(expr)) : std::move(expr);
}

}  // namespace mokume::jinja
