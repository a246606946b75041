// A YAML document as a plain tree that remembers lines; the only file that yaml-cpp is seen
// through.
//
// Non-goals: aliases (they multiply a document's size), tags, several documents in one file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mokume {

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  int line = 0;         ///< from 1
  std::string text;     ///< of a scalar
  bool quoted = false;  ///< the scalar stood in quotes, or was a block of text: it is a string
                        ///< whatever it looks like
  std::vector<Entry> entries;  ///< of a map (as written) or a sequence (with empty keys)
};

struct YamlNode::Entry {
  std::string key;
  int line = 0;
  YamlNode value;
};

constexpr size_t kMaxConfigBytes = 1u << 20;
constexpr int kMaxYamlDepth = 32;
constexpr int kMaxYamlNodes = 20000;

/// `file` names the text in errors. Errors: more than kMaxConfigBytes, malformed UTF-8, control
/// characters, YAML syntax, a key given twice in one map, a key that is no scalar, aliases, tags, a
/// second document, too deep, too many nodes. An empty document is a null node.
Result<YamlNode> parse_yaml(std::string_view text, const std::string& file);

}  // namespace mokume
