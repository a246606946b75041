#include "tokenizer/split_pattern.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "base/utf8.h"

namespace mokume {
namespace {

constexpr int kMaxRepeat = 1000;

// Oniguruma's \w, inside a set; of numbers that are no digits it has those of Latin-1 alone.
#define MKM_WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Reads the pattern from left to right and writes its translation.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> run() {
    if (take("(?i)")) out_ += "(?i)";
    while (at_ < in_.size()) MKM_RETURN_IF_ERROR(item());
    return std::move(out_);
  }

 private:
  bool take(std::string_view text) {
    if (!in_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }

  Status unsupported(std::string_view what) const {
    return absl::UnimplementedError(str_cat("[tokenizer] ", what, " is not supported (byte ", at_,
                                            " of the pattern ", quote(in_), ")"));
  }

  Status item() {
    const char c = in_[at_];
    if (c == '\\') return escape(/*in_set=*/false);
    if (c == '[') return set();
    if (c == '(') return group();
    if (c == '?' || c == '*' || c == '+') return simple_repeat();
    if (c == '{') return counted_repeat();
    ++at_;
    if (c == '^' || c == '$') {
      out_ += str_cat("(?m:", std::string(1, c), ")");
    } else {
      out_ += c;
    }
    return absl::OkStatus();
  }

  /// Captures are of no use, so that a plain group is a group without one.
  Status group() {
    for (std::string_view opening : {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (take(opening)) {
        out_ += opening;
        return absl::OkStatus();
      }
    }
    const std::string_view rest = in_.substr(at_);
    if (rest.starts_with("(?") || rest.starts_with("(*")) {
      return unsupported(str_cat("the group ", quote(rest.substr(0, 4))));
    }
    ++at_;
    out_ += "(?:";
    return absl::OkStatus();
  }

  Status simple_repeat() {
    out_ += in_[at_++];
    if (at_ < in_.size() && (in_[at_] == '?' || in_[at_] == '+')) out_ += in_[at_++];
    return absl::OkStatus();
  }

  /// {n}, {n,}, {n,m}, {,m}; any other brace is itself.
  Status counted_repeat() {
    const size_t end = in_.find('}', at_);
    const std::string_view inner =
        in_.substr(at_ + 1, end == std::string_view::npos ? 0 : end - at_ - 1);
    const size_t comma = inner.find(',');
    const std::string_view low = inner.substr(0, comma);
    const std::string_view high = comma == std::string_view::npos ? low : inner.substr(comma + 1);
    const bool counts = end != std::string_view::npos && std::ranges::all_of(low, is_digit) &&
                        std::ranges::all_of(high, is_digit) && !(low.empty() && high.empty());
    if (!counts) {
      out_ += "\\{";
      ++at_;
      return absl::OkStatus();
    }
    for (std::string_view bound : {low, high}) {
      const auto number = parse_integer<int>(bound.empty() ? "0" : bound);
      if (!number || *number > kMaxRepeat) {
        return unsupported(str_cat("a repeat of more than ", kMaxRepeat));
      }
    }
    at_ = end + 1;
    const bool lazy = take("?");
    if ((lazy && comma == std::string_view::npos) || (at_ < in_.size() && in_[at_] == '+')) {
      return unsupported("this mark after a counted repeat");
    }
    const bool exact = comma == std::string_view::npos;
    out_ += str_cat("{", low.empty() ? "0" : low, exact ? "" : ",", exact ? "" : high, "}",
                    lazy ? "?" : "");
    return absl::OkStatus();
  }

  Status set() {
    out_ += in_[at_++];
    if (take("^")) out_ += '^';
    for (bool first = true; at_ < in_.size(); first = false) {
      const char c = in_[at_];
      if (c == ']' && !first) {
        out_ += in_[at_++];
        return absl::OkStatus();
      }
      if (c == ']') return unsupported("a set that begins with ]");
      if (c == '[') return unsupported("[ in a set");
      if (c == '\\') {
        MKM_RETURN_IF_ERROR(escape(/*in_set=*/true));
        continue;
      }
      if (in_.substr(at_).starts_with("&&")) return unsupported("&& in a set");
      out_ += in_[at_++];
    }
    return unsupported("a set without end");
  }

  Status escape(bool in_set) {
    const char c = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    if (c == '\0') return unsupported("\\ without a character");
    if (c == 'p' || c == 'P') return property();
    if (c == 'x' || c == 'u') return code_point(c == 'u');
    if (!is_letter(c) && !is_digit(c)) return escaped_literal(c);
    struct Meaning {
      char letter;
      std::string_view outside, inside;  ///< of a set; empty: unsupported
    };
    static constexpr std::array<Meaning, 15> kMeanings = {{
        {'s', "\\p{wspace}", "\\p{wspace}"},
        {'S', "\\P{wspace}", "\\P{wspace}"},
        {'d', "\\p{Nd}", "\\p{Nd}"},
        {'D', "\\P{Nd}", "\\P{Nd}"},
        {'w', "[" MKM_WORD "]", MKM_WORD},
        {'W', "[^" MKM_WORD "]", ""},
        {'n', "\\n", "\\n"},
        {'r', "\\r", "\\r"},
        {'t', "\\t", "\\t"},
        {'f', "\\f", "\\f"},
        {'v', "\\x{B}", "\\x{B}"},
        {'a', "\\x{7}", "\\x{7}"},
        {'e', "\\x{1B}", "\\x{1B}"},
        {'A', "\\A", ""},
        {'z', "\\z", ""},
    }};
    for (const Meaning& meaning : kMeanings) {
      const std::string_view text = in_set ? meaning.inside : meaning.outside;
      if (meaning.letter != c || text.empty()) continue;
      out_ += text;
      at_ += 2;
      return absl::OkStatus();
    }
    return unsupported(str_cat("\\", std::string(1, c)));
  }

  Status escaped_literal(char c) {
    at_ += 2;
    if (static_cast<unsigned char>(c) < 0x80) out_ += '\\';
    out_ += c;
    return absl::OkStatus();
  }

  /// \p{Lu}, \P{L}, \p{^L}
  Status property() {
    const size_t end = in_.find('}', at_);
    if (end == std::string_view::npos || in_.substr(at_ + 2, 1) != "{") {
      return unsupported("\\p without {name}");
    }
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    const bool negated = name.starts_with("^");
    if (negated) name.remove_prefix(1);
    const auto belongs = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
    if (name.empty() || !std::ranges::all_of(name, belongs)) {
      return unsupported(str_cat("the property ", quote(name)));
    }
    out_ += str_cat("\\", in_.substr(at_ + 1, 1), "{", negated ? "^" : "", name, "}");
    at_ = end + 1;
    return absl::OkStatus();
  }

  /// \xHH, \x{H..}, \uHHHH
  Status code_point(bool four_digits) {
    std::string_view digits = in_.substr(at_ + 2, four_digits ? 4 : 2);
    size_t length = 2 + digits.size();
    if (digits.starts_with("{")) {
      const size_t end = std::min(in_.find('}', at_), in_.size());
      digits = in_.substr(at_ + 3, end - at_ - 3);
      length = digits.size() + 4;
    } else if (digits.size() < (four_digits ? 4u : 2u)) {
      digits = "";
    }
    if (digits.empty() || digits.size() > 6 || !std::ranges::all_of(digits, is_hex) ||
        at_ + length > in_.size()) {
      return unsupported("a character's number other than \\xHH, \\x{H} and \\uHHHH");
    }
    out_ += str_cat("\\x{", digits, "}");
    at_ += length;
    return absl::OkStatus();
  }

  std::string_view in_;
  size_t at_ = 0;
  std::string out_;
};

#undef MKM_WORD

}  // namespace

Result<std::string> to_pcre2(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kMaxSplitPatternBytes) {
    return invalid_argument("tokenizer", "a pattern has 1 to ", kMaxSplitPatternBytes,
                            " bytes; this has ", pattern.size());
  }
  if (find_invalid_utf8(pattern)) {
    return invalid_argument("tokenizer", "a pattern must be UTF-8: ", quote(pattern));
  }
  return Translator(pattern).run();
}

}  // namespace mokume
