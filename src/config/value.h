// One value of the configuration with its name and place, and readers that check it.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/yaml_tree.h"

namespace mokume {

/// A node and its path from the root ("devices[0].threads"). The node must outlive it.
class ConfigValue {
 public:
  ConfigValue(const YamlNode& node, std::string path, std::string file)
      : node_(&node), path_(std::move(path)), file_(std::move(file)) {}

  const YamlNode& node() const { return *node_; }
  const std::string& path() const { return path_; }
  ConfigLocation where() const { return {file_, node_->line}; }
  ConfigValue child(const YamlNode& node, std::string_view key) const;
  ConfigValue element(size_t index) const;

  /// "[config] <path> <what is wrong> (file:line)"
  Status error(std::string_view message) const;
  /// "[config] <path> is <what it is>; <wanted>, such as <example>"
  Status wrong_type(std::string_view wanted, std::string_view example) const;

 private:
  const YamlNode* node_;
  std::string path_;
  std::string file_;
};

/// A key of a section and what to do with its value.
struct ConfigField {
  std::string_view key;
  std::function<Status(const ConfigValue&)> read;
  bool required = false;
};

/// Reads a map: every key must be one of `fields`, and the required ones must be there.
Status read_section(const ConfigValue& value, std::initializer_list<ConfigField> fields);

/// A list of `least` to `most` elements, each given to `read`.
Status read_list(const ConfigValue& value, size_t least, size_t most,
                 const std::function<Status(const ConfigValue&)>& read);

/// A scalar that stands for text: anything in quotes, or a plain word that is no number and no
/// boolean.
Result<std::string> read_text(const ConfigValue& value, std::string_view example);

/// A plain decimal integer from `least` to `most`.
Result<int64_t> read_integer(const ConfigValue& value, int64_t least, int64_t most);

/// A size (parse_bytes()) from `least` to `most`.
Result<uint64_t> read_size(const ConfigValue& value, uint64_t least, uint64_t most);

/// [A-Za-z0-9_.-]{1,64}
Result<std::string> read_name(const ConfigValue& value, std::string_view example);

/// One of `choices`.
Result<std::string> read_choice(const ConfigValue& value, std::span<const std::string> choices);

/// "0-14", or "7" for 7-7; both ends from 0 to `most`. first > last is left to the caller.
Result<std::pair<int, int>> read_range(const ConfigValue& value, int most);

/// ConfigField readers that store the value.
std::function<Status(const ConfigValue&)> integer(int& out, int64_t least, int64_t most);
std::function<Status(const ConfigValue&)> size(uint64_t& out, uint64_t least, uint64_t most);
std::function<Status(const ConfigValue&)> name(std::string& out, std::string_view example);
std::function<Status(const ConfigValue&)> choice(std::string& out,
                                                 std::vector<std::string> choices);

}  // namespace mokume
