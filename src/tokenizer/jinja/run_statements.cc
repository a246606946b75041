// Statements.
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/interpreter_guards.h"

namespace mokume::jinja {

Interpreter::Flow Interpreter::run_body(const Body& body) {
  for (const auto& stmt : body) {
    const Flow flow = run_statement(*stmt);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_statement(const Stmt& stmt) {
  const DepthGuard depth(*this);
  line_ = stmt.line;
  switch (stmt.kind) {
    case StmtKind::kText:
      emit(stmt.text);
      break;
    case StmtKind::kOutput:
      emit(to_text(budget_, eval(*stmt.expr)));
      break;
    case StmtKind::kIf:
      return run_if(stmt);
    case StmtKind::kFor:
      return run_for(stmt);
    case StmtKind::kSet:
      assign(stmt.target, eval(*stmt.expr));
      break;
    case StmtKind::kSetBlock:
      run_set_block(stmt);
      break;
    case StmtKind::kMacro:
      assign(stmt.text, Value(Value::Storage(make_macro(stmt))));
      break;
    case StmtKind::kCallBlock:
      run_call_block(stmt);
      break;
    case StmtKind::kFilterBlock:
      run_filter_block(stmt);
      break;
    case StmtKind::kWith:
      return run_with(stmt);
    case StmtKind::kBlock:
      return run_body(stmt.body);
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_if(const Stmt& stmt) {
  for (const Branch& branch : stmt.branches) {
    budget_.step();
    if (eval(*branch.condition).truth()) return run_body(branch.body);
  }
  return run_body(stmt.body);
}

std::vector<Value> Interpreter::loop_items(const Stmt& stmt) {
  std::vector<Value> items = iterate(budget_, eval(*stmt.expr));
  if (!stmt.condition) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    const ScopeGuard scope(*this, scope_);
    assign(stmt.target, item);
    if (eval(*stmt.condition).truth()) kept.push_back(std::move(item));
  }
  return kept;
}

Interpreter::Flow Interpreter::run_for(const Stmt& stmt) {
  auto loop = std::make_shared<LoopState>();
  loop->items = loop_items(stmt);
  loop->charge = Charge(budget_, sizeof(LoopState) + loop->items.size() * sizeof(Value));
  for (const Value& item : loop->items) loop->depth = std::max(loop->depth, item.depth());
  if (loop->items.empty()) {
    const ScopeGuard scope(*this, scope_);
    return run_body(stmt.else_body);
  }
  for (; loop->index < loop->items.size(); ++loop->index) {
    budget_.step();
    const ScopeGuard scope(*this, scope_);
    assign("loop", Value(Value::Storage(loop)));
    assign(stmt.target, loop->items[loop->index]);
    if (run_body(stmt.body) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

void Interpreter::run_set_block(const Stmt& stmt) {
  Value value;
  {
    const ScopeGuard scope(*this, scope_);
    value = captured(stmt.body);
  }
  assign(stmt.target, stmt.expr ? eval_filter(*stmt.expr, &value) : value);
}

void Interpreter::run_call_block(const Stmt& stmt) {
  const Macro* caller = make_macro(stmt);
  const Value callee = eval(*stmt.expr->operands[0]);
  Arguments arguments = eval_arguments(*stmt.expr);
  arguments.named.emplace_back("caller", Value(Value::Storage(caller)));
  emit(to_text(budget_, call(callee, std::move(arguments))));
}

void Interpreter::run_filter_block(const Stmt& stmt) {
  Value value;
  {
    const ScopeGuard scope(*this, scope_);
    value = captured(stmt.body);
  }
  emit(to_text(budget_, eval_filter(*stmt.expr, &value)));
}

Interpreter::Flow Interpreter::run_with(const Stmt& stmt) {
  std::vector<Value> values;
  for (const auto& assignment : stmt.assignments) values.push_back(eval(*assignment.second));
  const ScopeGuard scope(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) assign(stmt.assignments[i].first, values[i]);
  return run_body(stmt.body);
}

}  // namespace mokume::jinja
