// Expressions.
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/interpreter_guards.h"
#include "tokenizer/jinja/operators.h"

namespace mokume::jinja {

Value Interpreter::eval(const Expr& expr) {
  const DepthGuard depth(*this);
  line_ = expr.line;
  const auto operand = [&](size_t i) { return eval(*expr.operands[i]); };
  switch (expr.kind) {
    case ExprKind::kConst:
      return expr.value;
    case ExprKind::kName:
      return lookup(expr.name);
    case ExprKind::kList:
      return eval_all(expr, false);
    case ExprKind::kTuple:
      return eval_all(expr, true);
    case ExprKind::kDict:
      return eval_dict(expr);
    case ExprKind::kAnd:
    case ExprKind::kOr:
      return eval_logic(expr);
    case ExprKind::kNot:
      return Value::boolean(!operand(0).truth());
    case ExprKind::kNegative:
      return negative(operand(0));
    case ExprKind::kPositive:
      return negative(negative(operand(0)));
    case ExprKind::kConcat:
      return eval_concat(expr);
    case ExprKind::kMath:
      return eval_math(expr);
    case ExprKind::kCompare:
      return eval_compare(expr);
    case ExprKind::kCond:
      return eval_cond(expr);
    case ExprKind::kAttr:
      return attribute(operand(0), expr.name);
    case ExprKind::kItem: {
      const Value object = operand(0);
      return item(object, operand(1));
    }
    case ExprKind::kSlice:
      return eval_slice(expr);
    case ExprKind::kCall:
      return eval_call(expr);
    case ExprKind::kFilter:
      return eval_filter(expr);
    case ExprKind::kTest:
      return eval_test(expr);
  }
  return Value();
}

Value Interpreter::eval_all(const Expr& expr, bool as_tuple) {
  std::vector<Value> items;
  items.reserve(expr.operands.size());
  for (const ExprPtr& operand : expr.operands) items.push_back(eval(*operand));
  return Value::sequence(budget_, std::move(items),
                         as_tuple ? SequenceKind::kTuple : SequenceKind::kList);
}

Value Interpreter::eval_dict(const Expr& expr) {
  auto dict = std::make_shared<Dict>(budget_);
  for (size_t i = 0; i + 1 < expr.operands.size(); i += 2) {
    Value key = eval(*expr.operands[i]);
    dict->set(std::move(key), eval(*expr.operands[i + 1]));
  }
  return Value(Value::Storage(std::shared_ptr<const Dict>(std::move(dict))));
}

Value Interpreter::eval_logic(const Expr& expr) {
  const bool stops_at = expr.kind == ExprKind::kOr;
  Value value;
  for (const ExprPtr& operand : expr.operands) {
    value = eval(*operand);
    if (value.truth() == stops_at) break;
  }
  return value;
}

Value Interpreter::eval_concat(const Expr& expr) {
  std::string out;
  for (const ExprPtr& operand : expr.operands) {
    const std::string part = to_text(budget_, eval(*operand));
    budget_.check(out.size() + part.size());
    out += part;
  }
  budget_.work(out.size());
  return text(std::move(out));
}

Value Interpreter::eval_math(const Expr& expr) {
  Value left = eval(*expr.operands[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    left = math(budget_, expr.operators[i], left, eval(*expr.operands[i + 1]));
  }
  return left;
}

Value Interpreter::eval_compare(const Expr& expr) {
  Value left = eval(*expr.operands[0]);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = eval(*expr.operands[i + 1]);
    if (!compare(budget_, expr.operators[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_cond(const Expr& expr) {
  if (eval(*expr.operands[0]).truth()) return eval(*expr.operands[1]);
  if (expr.operands[2]) return eval(*expr.operands[2]);
  return Value::undefined("an inline if was false and has no else");
}

Value Interpreter::eval_slice(const Expr& expr) {
  const Value object = eval(*expr.operands[0]);
  Value parts[3];
  for (size_t i = 0; i < 3; ++i) {
    parts[i] = expr.operands[i + 1] ? eval(*expr.operands[i + 1]) : Value::none();
  }
  return slice(budget_, object, parts[0], parts[1], parts[2]);
}

Value Interpreter::eval_call(const Expr& expr) {
  const Value callee = eval(*expr.operands[0]);
  Arguments arguments = eval_arguments(expr);
  line_ = expr.line;
  return call(callee, std::move(arguments));
}

Arguments Interpreter::eval_arguments(const Expr& expr) {
  Arguments arguments;
  for (size_t i = 1; i < expr.operands.size(); ++i) {
    arguments.positional.push_back(eval(*expr.operands[i]));
  }
  for (const auto& [name, value] : expr.named) arguments.named.emplace_back(name, eval(*value));
  return arguments;
}

Value Interpreter::eval_filter(const Expr& expr, const Value* innermost) {
  const DepthGuard depth(*this);
  const Expr* operand = expr.operands[0].get();
  Value value;
  if (!operand) {
    value = *innermost;
  } else if (innermost && operand->kind == ExprKind::kFilter) {
    value = eval_filter(*operand, innermost);
  } else {
    value = eval(*operand);
  }
  const Arguments arguments = eval_arguments(expr);
  line_ = expr.line;
  return apply_filter(expr.name, value, arguments);
}

Value Interpreter::eval_test(const Expr& expr) {
  const Value value = eval(*expr.operands[0]);
  const Arguments arguments = eval_arguments(expr);
  line_ = expr.line;
  return Value::boolean(apply_test(expr.name, value, arguments));
}

}  // namespace mokume::jinja
