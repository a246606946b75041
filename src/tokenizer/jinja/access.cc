// Attributes, subscripts and calls.
#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

Value loop_attribute(Interpreter& interpreter, const std::shared_ptr<LoopState>& loop,
                     std::string_view name) {
  const auto index = static_cast<int64_t>(loop->index);
  const auto size = static_cast<int64_t>(loop->items.size());
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "revindex") return Value::integer(size - index);
  if (name == "revindex0") return Value::integer(size - index - 1);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == size);
  if (name == "length") return Value::integer(size);
  if (name == "depth") return Value::integer(1);  // only recursive loops, not supported, count
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem") {
    return index > 0 ? loop->items[loop->index - 1] : Value::undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < size ? loop->items[loop->index + 1]
                            : Value::undefined("there is no next item");
  }
  if (name != "cycle") return Value::undefined(str_cat("'loop' has no attribute '", name, "'"));
  interpreter.budget().step();
  return Value(Value::Storage(
      std::make_shared<const Method>(Method{Value(Value::Storage(loop)), std::string(name)})));
}

Value missing(const Value& value, std::string_view name) {
  if (value.is_none()) return Value::undefined(str_cat("'None' has no attribute '", name, "'"));
  return Value::undefined(
      str_cat("'", value.type_name(), " object' has no attribute '", name, "'"));
}

}  // namespace

Value Interpreter::attribute(const Value& value, std::string_view name) {
  value.defined();
  if (const auto* loop = value.get<std::shared_ptr<LoopState>>()) {
    return loop_attribute(*this, *loop, name);
  }
  if (auto* const* space = value.get<Namespace*>()) {
    const auto found = (*space)->values.find(std::string(name));
    return found == (*space)->values.end() ? missing(value, name) : found->second;
  }
  if (has_method(value, name)) {
    return Value(Value::Storage(std::make_shared<const Method>(Method{value, std::string(name)})));
  }
  if (const auto* dict = value.as_dict()) {
    if (const Value* found = dict->find(name)) return *found;
  }
  return missing(value, name);
}

Value Interpreter::item(const Value& value, const Value& key) {
  value.defined();
  if (const auto* dict = value.as_dict()) {
    if (const Value* found = dict->find(key.defined())) return *found;
  }
  int64_t at;
  if (key.as_integer(at)) {
    if (const auto* sequence = value.as_sequence()) {
      const auto size = static_cast<int64_t>(sequence->items.size());
      if (at < 0) at += size;
      if (at >= 0 && at < size) return sequence->items[static_cast<size_t>(at)];
    } else if (const auto* whole = value.as_text()) {
      budget_.work(whole->size());
      if (at < 0) at += static_cast<int64_t>(text_length(*whole));
      const size_t offset = at < 0 ? whole->size() : byte_offset(*whole, static_cast<size_t>(at));
      if (offset < whole->size())
        return text(whole->substr(offset, code_point_size(*whole, offset)));
    }
    return Value::undefined(str_cat("'", value.type_name(), " object' has no element ", at));
  }
  if (const auto* name = key.as_text()) return attribute(value, *name);
  return Value::undefined(str_cat("'", value.type_name(), " object' has no such element"));
}

Value Interpreter::call(const Value& callee, Arguments arguments) {
  callee.defined();
  if (const auto* const* macro = callee.get<const Macro*>()) {
    return call_macro(**macro, std::move(arguments));
  }
  if (const auto* builtin = callee.get<Builtin>()) return call_builtin(*this, *builtin, arguments);
  if (const auto* method = callee.get<std::shared_ptr<const Method>>()) {
    return call_method(*this, **method, arguments);
  }
  fail("a value of type '", callee.type_name(), "' cannot be called");
}

Value Interpreter::apply_filter(std::string_view name, const Value& value,
                                const Arguments& arguments) {
  budget_.step();
  for (const auto find :
       {find_text_filter, find_list_filter, find_select_filter, find_value_filter}) {
    if (const Filter filter = find(name)) return filter(*this, value, arguments);
  }
  fail("there is no filter '", name, "'");
}

bool Interpreter::apply_test(std::string_view name, const Value& value,
                             const Arguments& arguments) {
  budget_.step();
  if (const Test test = find_test(name)) return test(*this, value, arguments);
  fail("there is no test '", name, "'");
}

int64_t integer_argument(const Value& value, std::string_view what) {
  int64_t integer;
  if (!value.defined().as_integer(integer)) {
    fail(what, " must be an integer, not '", value.type_name(), "'");
  }
  return integer;
}

const std::string& text_argument(const Value& value, std::string_view what) {
  const auto* text = value.defined().as_text();
  if (!text) fail(what, " must be a string, not '", value.type_name(), "'");
  return *text;
}

Value value_at_path(Interpreter& interpreter, const Value& item, const Value& path,
                    const Value& fallback) {
  const bool falls_back = !fallback.is_none() && !fallback.is_undefined();
  const auto step = [&](const Value& from, const Value& key) {
    Value found = interpreter.item(from, key);
    return falls_back && found.is_undefined() ? fallback : found;
  };
  const auto* text = path.as_text();
  if (!text) return step(item, path);
  Value value = item;
  for (size_t at = 0; at <= text->size();) {
    const size_t end = std::min(text->find('.', at), text->size());
    const std::string part = text->substr(at, end - at);
    const bool is_index = !part.empty() && part.size() < 10 &&
                          part.find_first_not_of("0123456789") == std::string::npos;
    value = step(value, is_index ? Value::integer(std::stoll(part)) : interpreter.text(part));
    at = end + 1;
  }
  return value;
}

}  // namespace mokume::jinja
