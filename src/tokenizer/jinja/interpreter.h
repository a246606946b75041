// Runs a parsed template.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/chat_template.h"
#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/value.h"

namespace mokume::jinja {

/// The variables of one block; what it lacks is looked up in `parent`.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> outer) : parent(std::move(outer)) {}
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string_view, Value>> variables;  // names are the syntax tree's
};

/// A macro, or the caller() of a call block, with the scope that it was defined in.
struct Macro {
  const Stmt* definition;
  std::shared_ptr<Scope> scope;
};

/// What `loop` is inside a for loop.
struct LoopState {
  std::vector<Value> items;
  size_t index = 0;
  int depth = 0;  ///< of the deepest item
  Charge charge;
};

/// The arguments of a call, a filter or a test.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;

  /// The arguments in the order of `names`, undefined where one is not given; fails for an unknown
  /// name or too many.
  std::vector<Value> bind(std::initializer_list<std::string_view> names) const;
};

class Interpreter {
 public:
  /// `body` and `limits` outlive this.
  Interpreter(const Body& body, const TemplateLimits& limits);
  ~Interpreter();

  std::string run(const nlohmann::ordered_json& context);
  /// Of the construct that runs or failed.
  int line() const { return line_; }

  Budget& budget() { return budget_; }
  const TemplateLimits& limits() const { return limits_; }
  Value text(std::string text) { return Value::text(budget_, std::move(text)); }
  Value list(std::vector<Value> items) { return Value::sequence(budget_, std::move(items)); }

  /// `value.name`: a method or a mapping's entry; undefined when there is none.
  Value attribute(const Value& value, std::string_view name);
  /// `value[key]`; undefined when there is none.
  Value item(const Value& value, const Value& key);
  Value call(const Value& callee, Arguments arguments);
  Value apply_filter(std::string_view name, const Value& value, const Arguments& arguments);
  bool apply_test(std::string_view name, const Value& value, const Arguments& arguments);
  Namespace* make_namespace();

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class DepthGuard;
  class ScopeGuard;
  class Capture;

  Value lookup(const std::string& name) const;
  void assign(std::string_view name, Value value);
  void assign(const Target& target, Value value);

  Flow run_body(const Body& body);
  Flow run_statement(const Stmt& stmt);
  Flow run_if(const Stmt& stmt);
  Flow run_for(const Stmt& stmt);
  std::vector<Value> loop_items(const Stmt& stmt);
  void run_set_block(const Stmt& stmt);
  void run_macro_definition(const Stmt& stmt);
  void run_call_block(const Stmt& stmt);
  void run_filter_block(const Stmt& stmt);
  Flow run_with(const Stmt& stmt);
  void emit(std::string_view text);
  const Macro* make_macro(const Stmt& stmt);
  Value call_macro(const Macro& macro, Arguments arguments);
  /// Runs the body in a scope of its own and returns what it printed.
  Value captured(const Body& body);

  Value eval(const Expr& expr);
  Value eval_all(const Expr& expr, bool as_tuple);
  Value eval_dict(const Expr& expr);
  Value eval_logic(const Expr& expr);
  Value eval_concat(const Expr& expr);
  Value eval_math(const Expr& expr);
  Value eval_compare(const Expr& expr);
  Value eval_cond(const Expr& expr);
  Value eval_slice(const Expr& expr);
  Value eval_call(const Expr& expr);
  /// Applies the filters of `expr` to `innermost`, which stands for its null operand, if any.
  Value eval_filter(const Expr& expr, const Value* innermost = nullptr);
  Value eval_test(const Expr& expr);
  Arguments eval_arguments(const Expr& expr);

  const Body& body_;
  const TemplateLimits& limits_;
  Budget budget_;  // before everything that holds values
  std::deque<Namespace> namespaces_;
  std::deque<Macro> macros_;
  Charge arena_;  // of namespaces and macros
  std::shared_ptr<Scope> scope_;
  std::string output_;
  int depth_ = 0;
  int line_ = 1;
};

}  // namespace mokume::jinja
