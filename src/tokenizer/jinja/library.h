// The functions, methods, filters and tests that a template can call.
#pragma once

#include <string_view>

#include "tokenizer/jinja/interpreter.h"

namespace mokume::jinja {

using Filter = Value (*)(Interpreter&, const Value&, const Arguments&);
using Test = bool (*)(Interpreter&, const Value&, const Arguments&);

/// Each is null for an unknown name.
Filter find_text_filter(std::string_view name);
Filter find_list_filter(std::string_view name);
Filter find_select_filter(std::string_view name);
Filter find_value_filter(std::string_view name);
Test find_test(std::string_view name);

/// True when values of this type have a method of this name.
bool has_method(const Value& value, std::string_view name);
Value call_method(Interpreter& interpreter, const Method& method, const Arguments& arguments);
Value call_builtin(Interpreter& interpreter, Builtin builtin, const Arguments& arguments);

/// The argument as the type asked for, or a failure that names `what`.
int64_t integer_argument(const Value& value, std::string_view what);
const std::string& text_argument(const Value& value, std::string_view what);

/// item.a.b for the path "a.b"; a number in the path is an index. `fallback`, unless it is none or
/// undefined, stands for whatever part of the path is not there.
Value value_at_path(Interpreter& interpreter, const Value& item, const Value& path,
                    const Value& fallback = Value());

/// Parts of `text` between `separator` (of white space when null), at most `limit` cuts (< 0: all).
std::vector<Value> split_text(Interpreter& interpreter, std::string_view text,
                              const std::string* separator, int64_t limit);
std::vector<Value> split_lines(Interpreter& interpreter, std::string_view text);
std::string replace_text(Interpreter& interpreter, const std::string& text, const std::string& from,
                         const std::string& to, int64_t limit);
std::string join_texts(Interpreter& interpreter, const std::vector<Value>& items,
                       const std::string& separator);
/// Every word with a capital letter; a word starts behind anything that `starts_word` says.
std::string title_text(std::string_view text, bool (*starts_word)(char32_t previous));

}  // namespace mokume::jinja
