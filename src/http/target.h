// The path of an HTTP request target.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mokume {

/// "/v1/models/a b" for "/v1/models/a%20b?x=1" or "http://host/v1/models/a%20b"; empty when
/// `target` is no path or is wrongly encoded.
std::optional<std::string> target_path(std::string_view target);

}  // namespace mokume
