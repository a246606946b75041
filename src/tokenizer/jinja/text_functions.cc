// What string methods and string filters share.
#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {

std::vector<Value> split_text(Interpreter& interpreter, std::string_view text,
                              const std::string* separator, int64_t limit) {
  interpreter.budget().work(text.size());
  std::vector<Value> parts;
  const auto add = [&](std::string_view part) {
    interpreter.budget().step();
    parts.push_back(interpreter.text(std::string(part)));
  };
  if (separator) {
    if (separator->empty()) fail("split() cannot use an empty separator");
    for (size_t found; limit != 0; --limit) {
      found = find_text(text, *separator, 0);
      if (found == std::string_view::npos) break;
      add(text.substr(0, found));
      text.remove_prefix(found + separator->size());
    }
    add(text);
    return parts;
  }
  text = strip_text(text, StripSide::kLeft);
  for (; !text.empty(); --limit) {
    if (limit == 0) {
      add(text);
      break;
    }
    size_t end = 0;
    while (end < text.size() && !is_space(code_point_at(text, end))) {
      end += code_point_size(text, end);
    }
    add(text.substr(0, end));
    text = strip_text(text.substr(end), StripSide::kLeft);
  }
  return parts;
}

std::vector<Value> split_lines(Interpreter& interpreter, std::string_view text) {
  interpreter.budget().work(text.size());
  std::vector<Value> lines;
  while (!text.empty()) {
    size_t end = 0;
    const auto is_break = [](char32_t c) {
      return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 ||
             c == 0x2029;
    };
    while (end < text.size() && !is_break(code_point_at(text, end))) {
      end += code_point_size(text, end);
    }
    interpreter.budget().step();
    lines.push_back(interpreter.text(std::string(text.substr(0, end))));
    if (end < text.size()) {
      end += text.substr(end, 2) == "\r\n" ? 2 : code_point_size(text, end);
    }
    text.remove_prefix(end);
  }
  return lines;
}

std::string replace_text(Interpreter& interpreter, const std::string& text, const std::string& from,
                         const std::string& to, int64_t limit) {
  Budget& budget = interpreter.budget();
  std::string out;
  size_t at = 0;
  for (; limit != 0; --limit) {
    const size_t found = find_text(text, from, at);
    if (found == std::string::npos) break;
    budget.work(found - at + to.size());
    budget.check(out.size() + (found - at) + to.size());
    out.append(text, at, found - at).append(to);
    at = found + from.size();
    if (!from.empty()) continue;
    if (at >= text.size()) return out;
    const size_t size = code_point_size(text, at);
    out.append(text, at, size);
    at += size;
  }
  budget.work(text.size() - at);
  budget.check(out.size() + text.size() - at);
  return out.append(text, at);
}

std::string join_texts(Interpreter& interpreter, const std::vector<Value>& items,
                       const std::string& separator) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string part = to_text(interpreter.budget(), items[i]);
    interpreter.budget().work(separator.size());
    interpreter.budget().check(out.size() + separator.size() + part.size());
    if (i > 0) out += separator;
    out += part;
  }
  return out;
}

std::string title_text(std::string_view text, bool (*starts_word)(char32_t previous)) {
  std::string out;
  char32_t previous = ' ';
  for (size_t at = 0; at < text.size(); at += code_point_size(text, at)) {
    const char32_t c = code_point_at(text, at);
    const char32_t mapped = at == 0 || starts_word(previous) ? to_upper(c) : to_lower(c);
    if (mapped == c) {
      out.append(text.substr(at, code_point_size(text, at)));
    } else {
      append_code_point(out, mapped);
    }
    previous = c;
  }
  return out;
}

}  // namespace mokume::jinja
