#include "tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "tokenizer/jinja/error.h"
#include "tokenizer/jinja/string_literal.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

constexpr std::array<std::string_view, 29> kSymbols = {
    "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=",
    "(",  ")",  "[",  "]",  "{",  "}",  ".", ",", ":", "|", ";", "&", "!", "@"};
constexpr auto kNone = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}
bool is_name(char c) { return is_name_start(c) || is_digit(c); }

std::string with_plain_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag();
      if (tag == kNone) {
        add_text(source_.substr(at_));
        move_to(source_.size());
        break;
      }
      read_tag(tag);
    }
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  // Tags.

  size_t next_tag() const {
    for (size_t at = at_;; ++at) {
      at = source_.find('{', at);
      if (at == kNone || at + 1 >= source_.size()) return kNone;
      if (std::string_view("{%#").find(source_[at + 1]) != kNone) return at;
    }
  }

  void read_tag(size_t tag) {
    const char type = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    add_text(trim_before_tag(source_.substr(at_, tag - at_), sign, type != '{'));
    move_to(tag + 2);
    if (type == '#') return skip_comment();
    if (sign == '-' || sign == '+') move_to(at_ + 1);
    if (type == '%' && read_raw_block()) return;
    const bool is_output = type == '{';
    add(is_output ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, "", 2);
    read_tokens(is_output);
  }

  /// The text before a tag without what the tag's sign, or lstrip_blocks, takes away.
  std::string_view trim_before_tag(std::string_view text, char sign, bool is_block) const {
    if (sign == '-') return strip_text(text, StripSide::kRight);
    if (sign == '+' || !is_block) return text;
    const size_t newline = text.rfind('\n');
    const size_t line = newline == kNone ? 0 : newline + 1;
    if (line == 0 && !at_line_start_) return text;
    return strip_text(text.substr(line), StripSide::kRight).empty() ? text.substr(0, line) : text;
  }

  /// Goes past `%}`, `}}` or `#}` and the white space that belongs to it.
  void finish_tag(char sign, size_t size, bool trims_newline) {
    size_t end = at_ + size;
    if (sign == '-') {
      end = source_.size() - strip_text(source_.substr(end), StripSide::kLeft).size();
    } else if (sign != '+' && trims_newline && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    at_line_start_ = source_[end - 1] == '\n';
    move_to(end);
  }

  void skip_comment() {
    const size_t close = source_.find("#}", at_);
    if (close == kNone) error("a comment {# is not closed by #}");
    const char sign = close > at_ ? source_[close - 1] : ' ';
    move_to(close);
    finish_tag(sign, 2, true);
  }

  /// True when `at`, behind `{%`, reads `name` and the end of a tag; gives that end and its sign.
  bool is_plain_tag(size_t at, std::string_view name, size_t& end, char& sign) const {
    at = skip_space(at);
    if (source_.substr(at, name.size()) != name) return false;
    at = skip_space(at + name.size());
    sign = at < source_.size() ? source_[at] : ' ';
    if (sign == '-' || sign == '+') ++at;
    end = at + 2;
    return source_.substr(std::min(at, source_.size()), 2) == "%}";
  }

  /// {% raw %}...{% endraw %}: false when this is no raw tag.
  bool read_raw_block() {
    size_t end;
    char sign;
    if (!is_plain_tag(at_, "raw", end, sign) || sign == '+') return false;
    move_to(end - 2);
    finish_tag(sign, 2, false);
    for (size_t tag = at_;; ++tag) {
      tag = source_.find("{%", tag);
      if (tag == kNone) error("{% raw %} is not closed by {% endraw %}");
      const char begin_sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      const size_t inner = tag + 2 + (begin_sign == '-' || begin_sign == '+');
      if (!is_plain_tag(inner, "endraw", end, sign)) continue;
      add_text(trim_before_tag(source_.substr(at_, tag - at_), begin_sign, true));
      move_to(end - 2);
      finish_tag(sign, 2, true);
      return true;
    }
  }

  size_t skip_space(size_t at) const {
    while (at < source_.size() && is_space(code_point_at(source_, at))) {
      at += code_point_size(source_, at);
    }
    return at;
  }

  // Tokens within a tag.

  void read_tokens(bool is_output) {
    const std::string_view close = is_output ? "}}" : "%}";
    std::string open_brackets;
    while (true) {
      move_to(skip_space(at_));
      if (at_ >= source_.size()) error("a tag is not closed by ", close);
      if (open_brackets.empty()) {
        const char c = source_[at_];
        const char sign = c == '-' || (c == '+' && !is_output) ? c : ' ';
        if (source_.substr(at_ + (sign != ' '), 2) == close) {
          if (sign != ' ') move_to(at_ + 1);
          add(is_output ? TokenKind::kOutputEnd : TokenKind::kBlockEnd, "");
          return finish_tag(sign, 2, !is_output);
        }
      }
      read_token(open_brackets);
    }
  }

  void read_token(std::string& open_brackets) {
    const char c = source_[at_];
    if (is_digit(c)) return read_number();
    if (is_name_start(c)) {
      size_t end = at_;
      while (end < source_.size() && is_name(source_[end])) ++end;
      return take(TokenKind::kName, end);
    }
    if (c == '\'' || c == '"') return read_string(c);
    for (std::string_view symbol : kSymbols) {
      if (source_.substr(at_, symbol.size()) != symbol) continue;
      match_brackets(c, open_brackets);
      return take(TokenKind::kSymbol, at_ + symbol.size());
    }
    error("unexpected character '", source_.substr(at_, code_point_size(source_, at_)), "'");
  }

  void match_brackets(char c, std::string& open_brackets) {
    if (c == '(') open_brackets += ')';
    if (c == '[') open_brackets += ']';
    if (c == '{') open_brackets += '}';
    if (c != ')' && c != ']' && c != '}') return;
    if (open_brackets.empty()) error("unexpected '", std::string_view(&c, 1), "'");
    if (open_brackets.back() != c) {
      error("unexpected '", std::string_view(&c, 1), "', expected '",
            std::string_view(&open_brackets.back(), 1), "'");
    }
    open_brackets.pop_back();
  }

  size_t digits_end(size_t at) const {
    while (at < source_.size() &&
           (is_digit(source_[at]) ||
            (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1])))) {
      ++at;
    }
    return at;
  }

  void read_number() {
    const char base = source_[at_] == '0' && at_ + 1 < source_.size() ? source_[at_ + 1] | 0x20 : 0;
    if (base == 'x' || base == 'o' || base == 'b') {
      size_t end = at_ + 2;
      while (end < source_.size() && is_name(source_[end]) && !(source_[end] & 0x80)) ++end;
      return take(TokenKind::kInteger, end);
    }
    size_t end = digits_end(at_);
    bool is_float = false;
    // `a.0.5` is two subscripts: a number behind a dot has no fraction.
    const bool behind_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (!behind_dot && end + 1 < source_.size() && source_[end] == '.' &&
        is_digit(source_[end + 1])) {
      is_float = true;
      end = digits_end(end + 1);
    }
    if (!behind_dot && end < source_.size() && (source_[end] | 0x20) == 'e') {
      size_t exponent = end + 1;
      if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) {
        ++exponent;
      }
      if (exponent < source_.size() && is_digit(source_[exponent])) {
        is_float = true;
        end = digits_end(exponent);
      }
    }
    take(is_float ? TokenKind::kFloat : TokenKind::kInteger, end);
    auto& text = tokens_.back().text;
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
  }

  void read_string(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) error("a string is not closed");
    std::string text;
    try {
      text = decode_string_literal(source_.substr(at_ + 1, end - at_ - 1));
    } catch (const Error& e) {
      error(e.message);
    }
    add(TokenKind::kString, std::move(text));
    move_to(end + 1);
  }

  // Output and position.

  void take(TokenKind kind, size_t end) {
    add(kind, std::string(source_.substr(at_, end - at_)));
    move_to(end);
  }

  void add(TokenKind kind, std::string text, size_t behind = 0) {
    tokens_.push_back(
        {kind, std::move(text), line_, static_cast<int>(at_ - behind - line_begin_) + 1});
  }

  void add_text(std::string_view text) {
    if (!text.empty()) add(TokenKind::kText, std::string(text));
  }

  void move_to(size_t at) {
    for (; at_ < at; ++at_) {
      if (source_[at_] != '\n') continue;
      ++line_;
      line_begin_ = at_ + 1;
    }
  }

  template <typename... Args>
  [[noreturn]] void error(const Args&... args) const {
    fail(args..., " (line ", line_, ", column ", at_ - line_begin_ + 1, ")");
  }

  const std::string_view source_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  size_t line_begin_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  const std::string plain = with_plain_newlines(source);
  return Lexer(plain).run();
}

}  // namespace mokume::jinja
