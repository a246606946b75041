// Unicode normalization form C.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mokume {

/// `text` (valid UTF-8) in normalization form C, in time O(n log n) at worst. ResourceExhausted
/// when there is no memory for it.
Result<std::string> normalize_nfc(std::string_view text);

}  // namespace mokume
