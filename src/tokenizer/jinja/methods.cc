// Methods of strings, mappings and lists. Those that would change a value do not exist.
#include <algorithm>

#include "tokenizer/jinja/format.h"
#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

using Bound = Value (*)(Interpreter&, const Value& self, const Arguments&);
struct Entry {
  std::string_view name;
  Bound call;
};

Value strip(Interpreter& in, const Value& self, const Arguments& arguments, StripSide side) {
  const auto bound = arguments.bind({"chars"});
  const std::string& text = *self.as_text();
  in.budget().work(text.size());
  if (bound[0].is_undefined() || bound[0].is_none())
    return in.text(std::string(strip_text(text, side)));
  const std::string_view chars = text_argument(bound[0], "strip()'s argument");
  if (chars.size() > 256) fail_limit("strip()'s argument has more than 256 bytes");
  const std::string_view kept = strip_text(text, side, &chars);
  in.budget().step(static_cast<int64_t>(text.size() - kept.size()));
  return in.text(std::string(kept));
}

/// startswith() and endswith(): with one string or a tuple of them.
Value has_affix(Interpreter& in, const Value& self, const Arguments& arguments, bool at_end) {
  const auto bound = arguments.bind({"affix"});
  const std::string_view text = *self.as_text();
  const auto matches = [&](const Value& affix) {
    const std::string& part = text_argument(affix, "the argument of startswith() or endswith()");
    in.budget().work(part.size());
    return at_end ? text.ends_with(part) : text.starts_with(part);
  };
  const auto* tuple = bound[0].as_sequence();
  if (!tuple) return Value::boolean(matches(bound[0]));
  return Value::boolean(std::any_of(tuple->items.begin(), tuple->items.end(), matches));
}

Value split(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"sep", "maxsplit"});
  const bool on_space = bound[0].is_undefined() || bound[0].is_none();
  const std::string* separator =
      on_space ? nullptr : &text_argument(bound[0], "split()'s separator");
  const int64_t limit =
      bound[1].is_undefined() ? -1 : integer_argument(bound[1], "split()'s maxsplit");
  return in.list(split_text(in, *self.as_text(), separator, limit));
}

Value replace(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"old", "new", "count"});
  const int64_t limit =
      bound[2].is_undefined() ? -1 : integer_argument(bound[2], "replace()'s count");
  return in.text(replace_text(in, *self.as_text(), text_argument(bound[0], "replace()'s old"),
                              text_argument(bound[1], "replace()'s new"), limit));
}

Value find(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"sub"});
  const std::string& text = *self.as_text();
  in.budget().work(text.size());
  const size_t found = find_text(text, text_argument(bound[0], "find()'s argument"), 0);
  if (found == std::string::npos) return Value::integer(-1);
  return Value::integer(static_cast<int64_t>(text_length(std::string_view(text).substr(0, found))));
}

Value count(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"sub"});
  const std::string& part = text_argument(bound[0], "count()'s argument");
  in.budget().work(self.as_text()->size());
  if (part.empty()) return Value::integer(length_of(in.budget(), self) + 1);
  int64_t found = 0;
  for (size_t at = 0; (at = find_text(*self.as_text(), part, at)) != std::string::npos;) {
    in.budget().step();
    at += part.size();
    ++found;
  }
  return Value::integer(found);
}

Value join(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto items = iterate(in.budget(), arguments.bind({"iterable"})[0].defined());
  for (const Value& item : items) text_argument(item, "what join() joins");
  return in.text(join_texts(in, items, *self.as_text()));
}

template <std::string (*kMap)(std::string_view)>
Value mapped(Interpreter& in, const Value& self, const Arguments& arguments) {
  arguments.bind({});
  in.budget().work(self.as_text()->size() * 4);
  return in.text(kMap(*self.as_text()));
}

/// isdigit(), isalpha() and the like: true when there are characters and all are of the kind.
template <bool (*kIs)(char32_t)>
Value all_are(Interpreter& in, const Value& self, const Arguments& arguments) {
  arguments.bind({});
  const std::string& text = *self.as_text();
  in.budget().work(text.size() * 4);
  for (size_t at = 0; at < text.size(); at += code_point_size(text, at)) {
    if (!kIs(code_point_at(text, at))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_alpha(char32_t c) { return is_alnum(c) && !is_digit(c); }
std::string python_title(std::string_view text) {
  return title_text(text, [](char32_t previous) { return !is_alpha(previous); });
}

constexpr Entry kTextMethods[] = {
    {"strip", [](Interpreter& in, const Value& self,
                 const Arguments& args) { return strip(in, self, args, StripSide::kBoth); }},
    {"lstrip", [](Interpreter& in, const Value& self,
                  const Arguments& args) { return strip(in, self, args, StripSide::kLeft); }},
    {"rstrip", [](Interpreter& in, const Value& self,
                  const Arguments& args) { return strip(in, self, args, StripSide::kRight); }},
    {"startswith", [](Interpreter& in, const Value& self,
                      const Arguments& args) { return has_affix(in, self, args, false); }},
    {"endswith", [](Interpreter& in, const Value& self,
                    const Arguments& args) { return has_affix(in, self, args, true); }},
    {"split", split},
    {"splitlines",
     [](Interpreter& in, const Value& self, const Arguments& args) {
       args.bind({});
       return in.list(split_lines(in, *self.as_text()));
     }},
    {"replace", replace},
    {"find", find},
    {"count", count},
    {"join", join},
    {"format",
     [](Interpreter& in, const Value& self, const Arguments& args) {
       return in.text(brace_format(in.budget(), *self.as_text(), args));
     }},
    {"upper", mapped<upper_text>},
    {"lower", mapped<lower_text>},
    {"title", mapped<python_title>},
    {"capitalize", mapped<capitalize_text>},
    {"isdigit", all_are<is_digit>},
    {"isalpha", all_are<is_alpha>},
    {"isalnum", all_are<is_alnum>},
    {"isspace", all_are<is_space>},
};

enum class Part { kKeys, kValues, kItems };

template <Part kPart>
Value dict_part(Interpreter& in, const Value& self, const Arguments& arguments) {
  arguments.bind({});
  std::vector<Value> parts;
  for (const auto& [key, value] : self.as_dict()->entries()) {
    if (kPart == Part::kItems) {
      parts.push_back(Value::sequence(in.budget(), {key, value}, SequenceKind::kTuple));
    } else {
      parts.push_back(kPart == Part::kKeys ? key : value);
    }
  }
  return in.list(std::move(parts));
}

Value dict_get(Interpreter&, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"key", "default"});
  if (const Value* found = self.as_dict()->find(bound[0].defined())) return *found;
  const bool has_default = arguments.positional.size() + arguments.named.size() > 1;
  return has_default ? bound[1] : Value::none();
}

constexpr Entry kDictMethods[] = {
    {"keys", dict_part<Part::kKeys>},
    {"values", dict_part<Part::kValues>},
    {"items", dict_part<Part::kItems>},
    {"get", dict_get},
    {"copy", [](Interpreter&, const Value& self, const Arguments&) { return self; }},
};

Value list_index(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"value"});
  const auto& items = self.as_sequence()->items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equal(in.budget(), items[i], bound[0])) return Value::integer(static_cast<int64_t>(i));
  }
  fail("the value is not in the list");
}

Value list_count(Interpreter& in, const Value& self, const Arguments& arguments) {
  const auto bound = arguments.bind({"value"});
  int64_t found = 0;
  for (const Value& item : self.as_sequence()->items) found += equal(in.budget(), item, bound[0]);
  return Value::integer(found);
}

constexpr Entry kListMethods[] = {{"index", list_index}, {"count", list_count}};

Value loop_cycle(Interpreter&, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) fail("loop.cycle() needs values");
  const auto& loop = *self.get<std::shared_ptr<LoopState>>();
  return arguments.positional[loop->index % arguments.positional.size()];
}

Bound find_method(const Value& self, std::string_view name) {
  const auto search = [&](const auto& table) -> Bound {
    for (const Entry& entry : table) {
      if (entry.name == name) return entry.call;
    }
    return nullptr;
  };
  if (self.as_text()) return search(kTextMethods);
  if (self.as_dict()) return search(kDictMethods);
  if (self.as_sequence()) return search(kListMethods);
  const bool is_cycle = self.get<std::shared_ptr<LoopState>>() && name == "cycle";
  return is_cycle ? loop_cycle : nullptr;
}

}  // namespace

bool has_method(const Value& value, std::string_view name) { return find_method(value, name); }

Value call_method(Interpreter& interpreter, const Method& method, const Arguments& arguments) {
  interpreter.budget().step();
  const Bound call = find_method(method.self, method.name);
  if (!call) fail("there is no method '", method.name, "'");
  return call(interpreter, method.self, arguments);
}

}  // namespace mokume::jinja
