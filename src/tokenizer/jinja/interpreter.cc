#include "tokenizer/jinja/interpreter.h"

#include "tokenizer/jinja/from_json.h"
#include "tokenizer/jinja/interpreter_guards.h"

namespace mokume::jinja {

std::vector<Value> Arguments::bind(std::initializer_list<std::string_view> names) const {
  if (positional.size() > names.size()) {
    fail(positional.size(), " arguments given, at most ", names.size(), " expected");
  }
  std::vector<Value> bound(positional);
  bound.resize(names.size());
  for (const auto& [name, value] : named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) fail("unknown argument '", name, "'");
    bound[static_cast<size_t>(found - names.begin())] = value;
  }
  return bound;
}

Interpreter::Interpreter(const Body& body, const TemplateLimits& limits)
    : body_(body),
      limits_(limits),
      budget_(limits.max_steps, limits.max_value_bytes),
      arena_(budget_, 0),
      scope_(std::make_shared<Scope>(nullptr)) {}

// Scopes and namespaces may point at each other through macros; none owns another but a macro its
// scope and a scope its parent, so that emptying the two arenas frees everything.
Interpreter::~Interpreter() = default;

std::string Interpreter::run(const nlohmann::ordered_json& context) {
  static constexpr std::pair<std::string_view, Builtin> kBuiltins[] = {
      {"range", Builtin::kRange},
      {"dict", Builtin::kDict},
      {"namespace", Builtin::kNamespace},
      {"raise_exception", Builtin::kRaiseException},
      {"strftime_now", Builtin::kStrftimeNow}};
  for (const auto& [name, builtin] : kBuiltins) assign(name, Value(Value::Storage(builtin)));
  if (!context.is_object()) fail("the template's variables must be a JSON object");
  for (const auto& [name, value] : context.items()) assign(name, from_json(budget_, value));
  scope_ = std::make_shared<Scope>(scope_);
  run_body(body_);
  return std::move(output_);
}

Value Interpreter::lookup(const std::string& name) const {
  for (const Scope* scope = scope_.get(); scope; scope = scope->parent.get()) {
    for (const auto& [variable, value] : scope->variables) {
      if (variable == name) return value;
    }
  }
  return Value::undefined(str_cat("'", name, "' is undefined"));
}

void Interpreter::assign(std::string_view name, Value value) {
  for (auto& [variable, old] : scope_->variables) {
    if (variable != name) continue;
    old = std::move(value);
    return;
  }
  scope_->variables.emplace_back(name, std::move(value));
}

void Interpreter::assign(const Target& target, Value value) {
  if (!target.targets.empty()) {
    const std::vector<Value> items = iterate(budget_, value.defined());
    if (items.size() != target.targets.size()) {
      fail(items.size(), " values cannot be unpacked to ", target.targets.size(), " names");
    }
    for (size_t i = 0; i < items.size(); ++i) assign(target.targets[i], items[i]);
  } else if (target.attribute.empty()) {
    assign(target.name, std::move(value));
  } else {
    const Value object = lookup(target.name);
    auto* const* space = object.defined().get<Namespace*>();
    if (!space) fail("cannot assign to an attribute of '", target.name, "', it is no namespace");
    Value& slot = (*space)->values[target.attribute];
    slot = std::move(value);
  }
}

Namespace* Interpreter::make_namespace() {
  arena_.grow(sizeof(Namespace) + 64);
  return &namespaces_.emplace_back();
}

const Macro* Interpreter::make_macro(const Stmt& stmt) {
  arena_.grow(sizeof(Macro) + sizeof(Scope) + 64);
  return &macros_.emplace_back(Macro{&stmt, scope_});
}

void Interpreter::emit(std::string_view text) {
  budget_.work(text.size());
  if (text.size() > limits_.max_output_bytes - output_.size()) {
    fail_limit("the template prints more than the ", limits_.max_output_bytes, " bytes allowed");
  }
  output_.append(text);
}

Value Interpreter::captured(const Body& body) {
  const Capture capture(*this);
  run_body(body);
  budget_.check(output_.size());
  return text(capture.text());
}

Value Interpreter::call_macro(const Macro& macro, Arguments arguments) {
  const DepthGuard depth(*this);
  const Stmt& definition = *macro.definition;
  const auto& parameters = definition.parameters;
  if (arguments.positional.size() > parameters.size()) {
    fail("macro '", definition.text, "' takes not more than ", parameters.size(), " arguments");
  }
  const ScopeGuard scope(*this, macro.scope);
  for (auto& [name, value] : arguments.named) {
    const auto has_name = [&, n = name](const Parameter& p) { return p.name == n; };
    if (name == "caller") {
      assign("caller", std::move(value));
    } else if (std::none_of(parameters.begin(), parameters.end(), has_name)) {
      fail("macro '", definition.text, "' takes no argument '", name, "'");
    } else {
      assign(name, std::move(value));
    }
  }
  const size_t named = scope_->variables.size();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto is_given = [&](const auto& v) { return v.first == parameters[i].name; };
    const auto given_end = scope_->variables.begin() + static_cast<ptrdiff_t>(named);
    if (i < arguments.positional.size()) {
      assign(parameters[i].name, std::move(arguments.positional[i]));
    } else if (std::none_of(scope_->variables.begin(), given_end, is_given)) {
      assign(parameters[i].name, parameters[i].fallback
                                     ? eval(*parameters[i].fallback)
                                     : Value::undefined(str_cat("parameter '", parameters[i].name,
                                                                "' was not provided")));
    }
  }
  return captured(definition.body);
}

}  // namespace mokume::jinja
