// Template text -> syntax tree.
#pragma once

#include <string_view>

#include "tokenizer/jinja/ast.h"

namespace mokume::jinja {

/// Throws Error, with line and column, for what is no template or nests too deep.
Body parse_template(std::string_view source);

}  // namespace mokume::jinja
