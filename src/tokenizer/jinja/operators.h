// Arithmetic and slices, as Python has them; integers are 64 bits and never wrap.
#pragma once

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/value.h"

namespace mokume::jinja {

Value math(Budget& budget, Operator op, const Value& a, const Value& b);
Value negative(const Value& value);
bool compare(Budget& budget, Operator op, const Value& a, const Value& b);
/// value[begin:end:step]; none or undefined where a part is left out.
Value slice(Budget& budget, const Value& value, const Value& begin, const Value& end,
            const Value& step);

}  // namespace mokume::jinja
