// UTF-8 text as Python sees it: by code point, with Python's idea of white space, case and
// printing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mokume::jinja {

/// Length in bytes of the code point that starts at `text[at]`; a byte that is not valid UTF-8
/// counts as one code point. `at` < text.size().
size_t code_point_size(std::string_view text, size_t at);
/// The code point at `text[at]`; 0xDC00 + byte for an invalid byte.
char32_t code_point_at(std::string_view text, size_t at);
void append_code_point(std::string& out, char32_t code_point);
/// Number of code points.
size_t text_length(std::string_view text);
/// Byte offset of code point `index`; text.size() when there are fewer.
size_t byte_offset(std::string_view text, size_t index);

bool is_space(char32_t code_point);
bool is_alnum(char32_t code_point);
/// Simple case mappings of ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic; others unchanged.
char32_t to_lower(char32_t code_point);
char32_t to_upper(char32_t code_point);
std::string lower_text(std::string_view text);
std::string upper_text(std::string_view text);
std::string capitalize_text(std::string_view text);

/// Python's repr() of a string, quotes included.
std::string quoted_text(std::string_view text);
/// Python's repr() of a float.
std::string float_text(double value);

enum class StripSide { kLeft, kRight, kBoth };
/// Without the code points of `chars` at its ends; of white space when `chars` is null.
std::string_view strip_text(std::string_view text, StripSide side,
                            const std::string_view* chars = nullptr);

/// Offset of `needle` at or after `from`, std::string_view::npos when there is none; linear time.
size_t find_text(std::string_view text, std::string_view needle, size_t from);

}  // namespace mokume::jinja
