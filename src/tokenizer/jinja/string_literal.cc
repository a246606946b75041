#include "tokenizer/jinja/string_literal.h"

#include <charconv>

#include "tokenizer/jinja/error.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

constexpr std::string_view kSimple = "\\'\"abfnrtv";
constexpr std::string_view kSimpleMeaning = "\\'\"\a\b\f\n\r\t\v";

bool is_octal(char c) { return c >= '0' && c <= '7'; }

char32_t hex_escape(std::string_view body, size_t& at, size_t digits) {
  unsigned value = 0;
  const char* begin = body.data() + std::min(at, body.size());
  const char* end = begin + std::min(digits, body.size() - std::min(at, body.size()));
  const auto parsed = std::from_chars(begin, end, value, 16);
  if (parsed.ptr != begin + digits) fail("an escape in a string needs ", digits, " hex digits");
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    fail("an escape in a string is no Unicode character");
  }
  at += digits;
  return value;
}

char32_t octal_escape(std::string_view body, size_t& at) {
  char32_t value = 0;
  for (int i = 0; i < 3 && at < body.size() && is_octal(body[at]); ++i, ++at) {
    value = value * 8 + static_cast<char32_t>(body[at] - '0');
  }
  return value;
}

/// `at` is the character after the backslash.
void decode_escape(std::string_view body, size_t& at, std::string& out) {
  const char c = body[at++];
  const size_t simple = kSimple.find(c);
  if (simple != std::string_view::npos) {
    out += kSimpleMeaning[simple];
  } else if (c == 'x') {
    append_code_point(out, hex_escape(body, at, 2));
  } else if (c == 'u') {
    append_code_point(out, hex_escape(body, at, 4));
  } else if (c == 'U') {
    append_code_point(out, hex_escape(body, at, 8));
  } else if (is_octal(c)) {
    --at;
    append_code_point(out, octal_escape(body, at));
  } else if (c != '\n') {
    out += '\\';
    out += c;
  }
}

}  // namespace

std::string decode_string_literal(std::string_view body) {
  std::string out;
  for (size_t at = 0; at < body.size();) {
    if (body[at] == '\\' && at + 1 < body.size()) {
      decode_escape(body, ++at, out);
    } else {
      out += body[at++];
    }
  }
  return out;
}

}  // namespace mokume::jinja
