// A JSON file of settings (config.json, an index of shards) as flat keys: "rope_parameters.factor".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"

namespace mokume {

/// Immutable. A key is the path of names joined by dots; elements of an array that does not hold
/// strings alone go by their index.
class JsonConfig {
 public:
  /// monostate is null.
  using Value =
      std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>>;

  /// An object of at most 16 MiB and 16 levels; errors name the file.
  static Result<JsonConfig> open(const std::string& path);
  static Result<JsonConfig> from_text(std::string_view text, const std::string& name);

  /// The settings below `name`, by what follows "<name>."; the path says so.
  JsonConfig group(std::string_view name) const;

  /// False for null too.
  bool has(std::string_view key) const;
  bool is_null(std::string_view key) const;
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }
  const std::string& path() const { return path_; }

  /// NotFound without the key or with null, InvalidArgument when it has another type or is out of
  /// [min, max].
  Result<int64_t> get_int(std::string_view key, int64_t min, int64_t max) const;
  /// An integer will do.
  Result<double> get_float(std::string_view key, double min, double max) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string> get_string(std::string_view key) const;

 private:
  std::string path_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace mokume
