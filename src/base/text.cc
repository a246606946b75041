#include "base/text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/checked.h"
#include "base/utf8.h"

namespace mokume {
namespace {

constexpr size_t kLongestName = 64;
constexpr size_t kLongestQuote = 64;

struct Unit {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array<Unit, 10> kUnits = {{{"", 1},
                                          {"B", 1},
                                          {"kB", 1000},
                                          {"MB", 1000'000},
                                          {"GB", 1000'000'000},
                                          {"TB", 1000'000'000'000},
                                          {"KiB", uint64_t{1} << 10},
                                          {"MiB", uint64_t{1} << 20},
                                          {"GiB", uint64_t{1} << 30},
                                          {"TiB", uint64_t{1} << 40}}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  const auto same = [&](size_t i, size_t j) { return lower(a[i]) == lower(b[j]); };
  std::vector<int> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + !same(i - 1, j - 1)});
      if (i > 1 && j > 1 && same(i - 1, j - 2) && same(i - 2, j - 1)) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates) {
  if (name.size() > kLongestName) return std::nullopt;
  std::optional<std::string> best;
  int best_distance = 0;
  for (const std::string& candidate : candidates) {
    const int distance = edit_distance(name, candidate);
    const int allowed = static_cast<int>(std::max(name.size(), candidate.size())) / 3;
    if (distance > std::max(1, allowed) || distance >= static_cast<int>(candidate.size())) continue;
    if (!best || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const size_t first = std::min(text.find_first_not_of(kSpaces), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (&part != parts.data()) out += separator;
    out += part;
  }
  return out;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  size_t at = 0;
  while (at < text.size() && out.size() < kLongestQuote) {
    const Utf8Prefix prefix = utf8_prefix(text.substr(at));
    const bool valid = prefix.kind == Utf8Prefix::Kind::kCharacter;
    const size_t length = valid ? prefix.length : 1;
    const char c = text[at];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (!valid || static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  return out + (at < text.size() ? "...\"" : "\"");
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 6> kNames = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return str_cat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= 1023.95 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kNames[unit]);
}

Result<uint64_t> parse_bytes(std::string_view text) {
  const std::string_view trimmed = trim(text);
  const size_t end = std::min(trimmed.find_first_not_of("0123456789"), trimmed.size());
  const std::string_view unit = trim(trimmed.substr(end));
  const auto known = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& candidate) {
    return equal_ignoring_case(candidate.name, unit);
  });
  if (end == 0 || known == kUnits.end()) {
    return absl::InvalidArgumentError(str_cat(
        quote(text),
        " is not a size; write a whole number with a unit, such as 8MiB, 512MB or 1073741824"));
  }
  const std::optional<uint64_t> count = parse_integer<uint64_t>(trimmed.substr(0, end));
  const std::optional<uint64_t> bytes = count ? checked_mul(*count, known->bytes) : std::nullopt;
  if (!bytes) return absl::InvalidArgumentError(str_cat(quote(text), " is too large a size"));
  return *bytes;
}

}  // namespace mokume
