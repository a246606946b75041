// Python's two ways of formatting, in what of them templates use.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/jinja/interpreter.h"

namespace mokume::jinja {

/// `format % values`: %s %r %d %i %f %x %X %% with flags, width and precision up to 1000;
/// `values` is a tuple, a single value, or a dict for %(name)s.
std::string printf_format(Budget& budget, std::string_view format, const Value& values);

/// `format.format(...)`: {}, {0}, {name}, {{ and }}; no format specifications.
std::string brace_format(Budget& budget, std::string_view format, const Arguments& arguments);

}  // namespace mokume::jinja
