// json.dumps() as the tojson filter of chat templates calls it.
#pragma once

#include <string>

#include "tokenizer/jinja/value.h"

namespace mokume::jinja {

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indents = false;
  std::string indent;  ///< of one level, when `indents`
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

/// Fails for what JSON cannot hold: undefined, namespaces, functions.
std::string to_json(Budget& budget, const Value& value, const JsonStyle& style);

}  // namespace mokume::jinja
