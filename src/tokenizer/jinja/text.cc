#include "tokenizer/jinja/text.h"

#include <charconv>
#include <cmath>
#include <cstring>

namespace mokume::jinja {
namespace {

bool is_continuation(std::string_view text, size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

}  // namespace

size_t code_point_size(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  size_t size = 1;
  if (lead >= 0xC2 && lead <= 0xDF) size = 2;
  if (lead >= 0xE0 && lead <= 0xEF) size = 3;
  if (lead >= 0xF0 && lead <= 0xF4) size = 4;
  for (size_t i = 1; i < size; ++i) {
    if (!is_continuation(text, at + i)) return 1;
  }
  return size;
}

char32_t code_point_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  switch (code_point_size(text, at)) {
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    case 4:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
             (byte(3) & 0x3F);
    default:
      return byte(0) < 0x80 ? byte(0) : 0xDC00 + byte(0);
  }
}

void append_code_point(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

size_t text_length(std::string_view text) {
  size_t length = 0;
  for (size_t at = 0; at < text.size(); at += code_point_size(text, at)) ++length;
  return length;
}

size_t byte_offset(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) at += code_point_size(text, at);
  return at;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_alnum(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= 0xC0 && !is_space(c) && c != 0xD7 && c != 0xF7 && (c < 0x2000 || c > 0x206F));
}

char32_t to_lower(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c + 32;
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 32;
  if (c >= 0x100 && c <= 0x137 && c != 0x130) return c | 1;
  if (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) return c + 32;
  if (c >= 0x410 && c <= 0x42F) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  return c;
}

char32_t to_upper(char32_t c) {
  if (c >= 'a' && c <= 'z') return c - 32;
  if (c >= 0xE0 && c <= 0xFE && c != 0xF7) return c - 32;
  if (c >= 0x100 && c <= 0x137 && c != 0x131) return c & ~char32_t{1};
  if (c >= 0x3B1 && c <= 0x3C9 && c != 0x3C2) return c - 32;
  if (c >= 0x430 && c <= 0x44F) return c - 32;
  if (c >= 0x450 && c <= 0x45F) return c - 80;
  return c;
}

namespace {

/// Maps each code point by `map(code_point, is_first)`; invalid bytes stay as they are.
template <typename Map>
std::string map_text(std::string_view text, Map map) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t size = code_point_size(text, at);
    const char32_t c = code_point_at(text, at);
    const char32_t mapped = map(c, at == 0);
    if (mapped == c) {
      out.append(text.substr(at, size));
    } else {
      append_code_point(out, mapped);
    }
    at += size;
  }
  return out;
}

}  // namespace

std::string lower_text(std::string_view text) {
  return map_text(text, [](char32_t c, bool) { return to_lower(c); });
}

std::string upper_text(std::string_view text) {
  std::string upper = map_text(text, [](char32_t c, bool) { return to_upper(c); });
  constexpr std::string_view kSharpS = "\u00df";
  for (size_t at = 0; (at = upper.find(kSharpS, at)) != std::string::npos;) {
    upper.replace(at, kSharpS.size(), "SS");
  }
  return upper;
}

std::string capitalize_text(std::string_view text) {
  return map_text(text, [](char32_t c, bool first) { return first ? to_upper(c) : to_lower(c); });
}

std::string quoted_text(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  const auto escape = [&](const char* format, char32_t c) {
    char buffer[16];
    snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(c));
    out += buffer;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t size = code_point_size(text, at);
    const char32_t c = code_point_at(text, at);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\\' || c == static_cast<char32_t>(quote)) {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) {
      escape("\\x%02x", c);
    } else if ((is_space(c) && c != ' ') || (c >= 0x200B && c <= 0x200F) ||
               (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
               (c >= 0xD800 && c <= 0xF8FF)) {
      escape("\\u%04x", c);
    } else {
      out.append(text.substr(at, size));
    }
    at += size;
  }
  out += quote;
  return out;
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double magnitude = std::fabs(value);
  char buffer[64];
  if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
    return std::string(buffer, end.ptr);
  }
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string text(buffer, end.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string_view strip_text(std::string_view text, StripSide side, const std::string_view* chars) {
  const auto strips = [&](size_t at) {
    if (!chars) return is_space(code_point_at(text, at));
    return find_text(*chars, text.substr(at, code_point_size(text, at)), 0) !=
           std::string_view::npos;
  };
  size_t begin = 0;
  size_t end = text.size();
  if (side != StripSide::kRight) {
    while (begin < end && strips(begin)) begin += code_point_size(text, begin);
  }
  if (side != StripSide::kLeft) {
    while (end > begin) {
      size_t at = end - 1;
      while (at > begin && end - at < 4 && is_continuation(text, at)) --at;
      if (at + code_point_size(text, at) != end) at = end - 1;
      if (!strips(at)) break;
      end = at;
    }
  }
  return text.substr(begin, end - begin);
}

size_t find_text(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (needle.empty()) return from;
  if (needle.size() == 1) return text.find(needle[0], from);
  // memmem and not find(): that one takes quadratic time on text made for it.
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (!found) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace mokume::jinja
