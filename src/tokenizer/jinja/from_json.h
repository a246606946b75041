// A request's JSON -> values.
#pragma once

#include <nlohmann/json.hpp>

#include "tokenizer/jinja/value.h"

namespace mokume::jinja {

/// Throws Error when it nests too deep or exceeds the budget. A number above INT64_MAX becomes a
/// float.
Value from_json(Budget& budget, const nlohmann::ordered_json& json);

}  // namespace mokume::jinja
