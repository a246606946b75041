// The escapes of a string literal.
#pragma once

#include <string>
#include <string_view>

namespace mokume::jinja {

/// What stands between the quotes, decoded as Python does; an unknown escape stays as it is.
/// Throws Error for a truncated \x, \u or \U.
std::string decode_string_literal(std::string_view body);

}  // namespace mokume::jinja
