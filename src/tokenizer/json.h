// JSON from outside, read with limits: what clients send, and a checkpoint's tokenizer files.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/status.h"

namespace mokume {

using Json = nlohmann::ordered_json;

/// Bounds on memory (a value costs some 50 bytes) and on the time of the linear look-ups of an
/// ordered object.
struct JsonLimits {
  int max_depth = 64;
  size_t max_values = 1'000'000;
  size_t max_keys = 4096;         ///< of one object
  std::string_view room = "api";  ///< whose errors these are
};

/// Strict JSON (RFC 8259). InvalidArgument, with line and column or the limit, for bad syntax,
/// invalid UTF-8, numbers that no double can hold, duplicate keys, and documents beyond `limits`.
/// `what` names the text in messages.
Result<Json> parse_json(std::string_view text, std::string_view what,
                        const JsonLimits& limits = {});

/// The JSON text of `value`; invalid UTF-8 becomes U+FFFD.
std::string dump_json(const Json& value);

}  // namespace mokume
