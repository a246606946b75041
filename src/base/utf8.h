// UTF-8 as RFC 3629 defines it: no overlong form, no surrogate, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mokume {

/// U+FFFD, what ill-formed bytes become.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What a text begins with.
struct Utf8Prefix {
  enum class Kind {
    kCharacter,   ///< one whole character of `length` bytes
    kInvalid,     ///< `length` (1 to 3) bytes that no further byte makes a character
    kIncomplete,  ///< the text ends, after `length` (1 to 3) bytes, inside a character
  };
  Kind kind;
  size_t length;
};

/// Looks at the first character of `text`, which must not be empty. An ill-formed sequence is as
/// long as Unicode's "maximal subpart": what one U+FFFD replaces.
Utf8Prefix utf8_prefix(std::string_view text);

/// Offset of the first byte of the first ill-formed (or unfinished) sequence; empty when `text` is
/// valid.
std::optional<size_t> find_invalid_utf8(std::string_view text);

/// `text` with each ill-formed sequence (maximal subpart) replaced by U+FFFD. The result is valid
/// and at most three times as long.
std::string replace_invalid_utf8(std::string_view text);

/// Moves everything that is decided from the front of `pending` to the back of `out`: characters as
/// they are, ill-formed sequences as U+FFFD. An unfinished character (at most 3 bytes) stays in
/// `pending`.
void drain_utf8(std::string& pending, std::string& out);

}  // namespace mokume
