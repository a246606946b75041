#include "tokenizer/jinja/tojson.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

class JsonPrinter {
 public:
  JsonPrinter(Budget& budget, const JsonStyle& style) : budget_(budget), style_(style) {}

  void print(const Value& value) {
    budget_.step();
    budget_.check(out.size());
    if (const auto* text = value.as_text()) {
      print_text(*text);
    } else if (const auto* sequence = value.as_sequence()) {
      print_list(*sequence);
    } else if (const auto* dict = value.as_dict()) {
      print_dict(*dict);
    } else {
      out += scalar(value);
    }
  }

  std::string out;

 private:
  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (const auto* b = value.get<bool>()) return *b ? "true" : "false";
    if (const auto* i = value.get<int64_t>()) return str_cat(*i);
    if (const auto* d = value.get<double>()) {
      if (std::isnan(*d)) return "NaN";
      if (std::isinf(*d)) return *d < 0 ? "-Infinity" : "Infinity";
      return float_text(*d);
    }
    fail("a value of type '", value.type_name(), "' cannot be written as JSON");
  }

  void escape_unit(unsigned unit) {
    char buffer[16];
    snprintf(buffer, sizeof buffer, "\\u%04x", unit);
    out += buffer;
  }

  void print_text(std::string_view text) {
    static constexpr std::string_view kSpecial = "\"\\\n\r\t\b\f";
    static constexpr std::string_view kEscapes = "\"\\nrtbf";
    budget_.work(text.size());
    out += '"';
    for (size_t at = 0; at < text.size();) {
      const size_t size = code_point_size(text, at);
      const char32_t c = code_point_at(text, at);
      const size_t special = c < 0x80 ? kSpecial.find(static_cast<char>(c)) : std::string::npos;
      if (special != std::string::npos) {
        out += '\\';
        out += kEscapes[special];
      } else if (c < 0x20 || (style_.ensure_ascii && c >= 0x7F && c < 0x10000)) {
        escape_unit(c);
      } else if (style_.ensure_ascii && c >= 0x10000) {
        escape_unit(0xD800 + ((c - 0x10000) >> 10));
        escape_unit(0xDC00 + ((c - 0x10000) & 0x3FF));
      } else {
        out.append(text.substr(at, size));
      }
      at += size;
    }
    out += '"';
  }

  void separate(bool first) {
    if (!first) out += style_.item_separator;
    new_line();
  }

  void new_line() {
    if (!style_.indents) return;
    budget_.work(style_.indent.size() * static_cast<size_t>(level_));
    budget_.check(out.size() + style_.indent.size() * static_cast<size_t>(level_));
    out += '\n';
    for (int i = 0; i < level_; ++i) out += style_.indent;
  }

  void print_list(const Sequence& sequence) {
    out += '[';
    ++level_;
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      separate(i == 0);
      print(sequence.items[i]);
    }
    --level_;
    if (!sequence.items.empty()) new_line();
    out += ']';
  }

  void print_dict(const Dict& dict) {
    std::vector<const Dict::Entry*> entries;
    for (const auto& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto* a, const auto* b) { return less(budget_, a->key, b->key); });
    }
    out += '{';
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      separate(i == 0);
      print_key(entries[i]->key);
      out += style_.key_separator;
      print(entries[i]->value);
    }
    --level_;
    if (!entries.empty()) new_line();
    out += '}';
  }

  void print_key(const Value& key) {
    if (const auto* text = key.as_text()) return print_text(*text);
    if (key.as_sequence()) fail("a tuple cannot be a key in JSON");
    print_text(scalar(key));
  }

  Budget& budget_;
  const JsonStyle& style_;
  int level_ = 0;
};

}  // namespace

std::string to_json(Budget& budget, const Value& value, const JsonStyle& style) {
  JsonPrinter printer(budget, style);
  printer.print(value);
  return std::move(printer.out);
}

}  // namespace mokume::jinja
