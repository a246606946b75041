// The functions of a template: range, dict, namespace, raise_exception, strftime_now.
#include <ctime>

#include "tokenizer/jinja/library.h"

namespace mokume::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // as the sandbox that templates are written for

Value make_range(Interpreter& interpreter, const Arguments& arguments) {
  const auto bound = arguments.bind({"start", "stop", "step"});
  if (arguments.positional.empty()) fail("range() needs an integer");
  const bool one = arguments.positional.size() == 1;
  const int64_t begin = one ? 0 : integer_argument(bound[0], "range()'s start");
  const int64_t end = integer_argument(one ? bound[0] : bound[1], "range()'s end");
  const int64_t step = bound[2].is_undefined() ? 1 : integer_argument(bound[2], "range()'s step");
  if (step == 0) fail("range()'s step must not be zero");
  std::vector<Value> items;
  for (int64_t at = begin; step > 0 ? at < end : at > end;) {
    if (static_cast<int64_t>(items.size()) == kMaxRange) {
      fail_limit("range() has more than ", kMaxRange, " numbers");
    }
    items.push_back(Value::integer(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return Value::sequence(interpreter.budget(), std::move(items), SequenceKind::kRange);
}

/// Calls `set(key, value)` for the arguments of dict() and namespace().
template <typename Set>
void for_each_entry(Interpreter& interpreter, const Arguments& arguments, Set set) {
  if (arguments.positional.size() > 1) fail("expected at most 1 argument without a name");
  for (const Value& source : arguments.positional) {
    if (const auto* dict = source.defined().as_dict()) {
      for (const auto& entry : dict->entries()) set(entry.key, entry.value);
      continue;
    }
    for (const Value& item : iterate(interpreter.budget(), source)) {
      const auto pair = iterate(interpreter.budget(), item);
      if (pair.size() != 2) fail("expected pairs of a key and a value");
      set(pair[0], pair[1]);
    }
  }
  for (const auto& [name, value] : arguments.named) {
    set(interpreter.text(std::string(name)), value);
  }
}

Value make_dict(Interpreter& interpreter, const Arguments& arguments) {
  auto dict = std::make_shared<Dict>(interpreter.budget());
  for_each_entry(interpreter, arguments,
                 [&](const Value& key, const Value& value) { dict->set(key, value); });
  return Value(Value::Storage(std::shared_ptr<const Dict>(std::move(dict))));
}

Value make_namespace(Interpreter& interpreter, const Arguments& arguments) {
  Namespace* space = interpreter.make_namespace();
  for_each_entry(interpreter, arguments, [&](const Value& key, const Value& value) {
    space->values[text_argument(key, "a name in namespace()")] = value;
  });
  return Value(Value::Storage(space));
}

/// One conversion of strftime at a time, so that a hostile format cannot ask for a wide field.
std::string format_time(std::string_view format, const std::tm& time) {
  static constexpr std::string_view kKnown = "aAbBcdDeFgGhHIjmMnpPrRsStTuUVwWxXyYzZ%";
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      out += format[at];
      continue;
    }
    std::string conversion = "%";
    if (format[++at] == '-' && at + 1 < format.size()) conversion += format[at++];
    conversion += format[at];
    if (kKnown.find(format[at]) == std::string_view::npos) {
      fail("strftime_now() does not know '", conversion, "'");
    }
    char buffer[128];
    out.append(buffer, std::strftime(buffer, sizeof buffer, conversion.c_str(), &time));
  }
  return out;
}

Value strftime_now(Interpreter& interpreter, const Arguments& arguments) {
  const auto bound = arguments.bind({"format"});
  const std::string& format = text_argument(bound[0], "strftime_now()'s format");
  if (format.size() > 1024) fail_limit("strftime_now()'s format has more than 1024 bytes");
  const auto& clock = interpreter.limits().clock;
  const std::time_t now = clock ? static_cast<std::time_t>(clock()) : std::time(nullptr);
  std::tm time{};
  localtime_r(&now, &time);
  return interpreter.text(format_time(format, time));
}

}  // namespace

Value call_builtin(Interpreter& interpreter, Builtin builtin, const Arguments& arguments) {
  switch (builtin) {
    case Builtin::kRange:
      return make_range(interpreter, arguments);
    case Builtin::kDict:
      return make_dict(interpreter, arguments);
    case Builtin::kNamespace:
      return make_namespace(interpreter, arguments);
    case Builtin::kRaiseException: {
      const auto bound = arguments.bind({"message"});
      throw Error{Error::Kind::kRaised, to_text(interpreter.budget(), bound[0])};
    }
    case Builtin::kStrftimeNow:
      return strftime_now(interpreter, arguments);
  }
  return Value();
}

}  // namespace mokume::jinja
