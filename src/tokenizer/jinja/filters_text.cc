// Filters of strings.
#include "tokenizer/jinja/format.h"
#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

std::string text_of(Interpreter& in, const Value& value) { return to_text(in.budget(), value); }

template <std::string (*kMap)(std::string_view)>
Value mapped(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  const std::string text = text_of(in, value);
  in.budget().work(text.size() * 4);
  return in.text(kMap(text));
}

/// As the title filter has it: words start behind white space, dashes and opening brackets.
std::string jinja_title(std::string_view text) {
  return title_text(text, [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  });
}

Value trim(Interpreter& in, const Value& value, const Arguments& arguments) {
  const Value self = in.text(text_of(in, value));
  return call_method(in, Method{self, "strip"}, arguments);
}

Value replace(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"old", "new", "count"});
  const bool all = bound[2].is_undefined() || bound[2].is_none();
  return in.text(replace_text(in, text_of(in, value), text_of(in, bound[0].defined()),
                              text_of(in, bound[1].defined()),
                              all ? -1 : integer_argument(bound[2], "replace's count")));
}

Value indent(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"width", "first", "blank"});
  int64_t width = 4;
  std::string indention;
  if (const auto* text = bound[0].as_text()) {
    indention = *text;
  } else {
    if (!bound[0].is_undefined()) width = integer_argument(bound[0], "indent's width");
    in.budget().check(static_cast<size_t>(std::max<int64_t>(width, 0)));
    indention.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const auto lines = split_lines(in, text_argument(value, "what indent works on") + "\n");
  std::string out = bound[1].truth() ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = *lines[i].as_text();
    in.budget().work(indention.size() + line.size());
    in.budget().check(out.size() + indention.size() + line.size());
    if (i > 0) out += '\n';
    if (i > 0 && (bound[2].truth() || !line.empty())) out += indention;
    out += line;
  }
  return in.text(std::move(out));
}

Value escape(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  const std::string text = text_of(in, value);
  in.budget().check(text.size() * 5);
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return in.text(std::move(out));
}

Value as_string(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  return value.as_text() ? value : in.text(text_of(in, value));
}

Value format(Interpreter& in, const Value& value, const Arguments& arguments) {
  std::vector<Value> items = arguments.positional;
  Value values;
  if (arguments.named.empty()) {
    values = Value::sequence(in.budget(), std::move(items), SequenceKind::kTuple);
  } else {
    values = call_builtin(in, Builtin::kDict, arguments);
  }
  return in.text(printf_format(in.budget(), text_of(in, value), values));
}

}  // namespace

Filter find_text_filter(std::string_view name) {
  static constexpr std::pair<std::string_view, Filter> kFilters[] = {
      {"trim", trim},
      {"upper", mapped<upper_text>},
      {"lower", mapped<lower_text>},
      {"title", mapped<jinja_title>},
      {"capitalize", mapped<capitalize_text>},
      {"replace", replace},
      {"indent", indent},
      {"escape", escape},
      {"e", escape},
      {"safe", as_string},
      {"string", as_string},
      {"format", format}};
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace mokume::jinja
