// The regular expressions of tokenizer.json, in PCRE2's dialect.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mokume {

inline constexpr size_t kMaxSplitPatternBytes = 16 * 1024;

/// `pattern`, written for Oniguruma as Hugging Face's tokenizers runs it, such that PCRE2 (with UTF
/// and UCP) finds the same: \s is Unicode's White_Space, \w has all that is alphabetic, marks and
/// all numbers, ^ and $ know lines. Only what means the same in both passes: literals, sets, \s \d
/// \w \p{..}, groups, look-around, quantifiers. Unimplemented, with its place, for anything else;
/// InvalidArgument for a pattern that is too long.
Result<std::string> to_pcre2(std::string_view pattern);

}  // namespace mokume
