// Small helpers for text that people read or wrote: sizes, misspelt names, quoting.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "base/status.h"

namespace mokume {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; letter case
/// is ignored.
int edit_distance(std::string_view a, std::string_view b);

/// The candidate that `name` is most likely a misspelling of; empty when none is close.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates);

/// `"text"` with control characters, quotes, backslashes and malformed UTF-8 escaped, cut to about
/// 64 bytes: for outside text in messages.
std::string quote(std::string_view text);

bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Without spaces, tabs and line ends on both sides.
std::string_view trim(std::string_view text);

/// The decimal number that `text` is as a whole (a sign is allowed where T has one); empty
/// otherwise, and when it does not fit.
template <typename T>
std::optional<T> parse_integer(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// "a, b, c"
std::string join(std::span<const std::string> parts, std::string_view separator);

/// "640 B", "1.5 GiB".
std::string format_bytes(uint64_t bytes);

/// "8MiB", "512 MB", "1073741824"; units B, kB, MB, GB, TB (powers of 1000) and KiB, MiB, GiB, TiB
/// (of 1024), in any case. The error is a phrase without a room, such as `"8M" is not a size; ...`.
Result<uint64_t> parse_bytes(std::string_view text);

}  // namespace mokume
