// Bounded settings of a Hugging Face config.json, with what holds where one is left out or null.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "weights/json_config.h"

namespace mokume {

/// Borrows the file's settings. Errors name the key and the file.
class HfConfig {
 public:
  explicit HfConfig(const JsonConfig& json) : json_(json) {}

  const JsonConfig& json() const { return json_; }
  /// A value of whatever type, but not null.
  bool has(std::string_view key) const {
    if (json_.has(key)) return true;
    const std::string below = str_cat(key, ".");  // of an object, or an array of other than strings
    const auto inner = json_.values().lower_bound(below);
    return inner != json_.values().end() && inner->first.starts_with(below);
  }

  Result<int> integer(std::string_view key, int min, int max,
                      std::optional<int> fallback = std::nullopt) const {
    if (fallback && !has(key)) return *fallback;
    MKM_ASSIGN_OR_RETURN(const int64_t value, json_.get_int(key, min, max));
    return static_cast<int>(value);
  }
  Result<double> real(std::string_view key, double min, double max,
                      std::optional<double> fallback = std::nullopt) const {
    if (fallback && !has(key)) return *fallback;
    return json_.get_float(key, min, max);
  }
  Result<bool> flag(std::string_view key, bool fallback) const {
    if (!has(key)) return fallback;
    return json_.get_bool(key);
  }
  Result<std::string> text(std::string_view key, std::string_view fallback) const {
    if (!has(key)) return std::string(fallback);
    return json_.get_string(key);
  }

  /// An array of strings.
  Result<std::vector<std::string>> texts(std::string_view key) const {
    const auto found = json_.values().find(key);
    if (found != json_.values().end()) {
      const auto* texts = std::get_if<std::vector<std::string>>(&found->second);
      if (texts != nullptr) return *texts;
    }
    return error(key, " must be an array of strings");
  }

  /// InvalidArgument "[model] ... (file)".
  template <typename... Args>
  Status error(const Args&... args) const {
    return invalid_argument("model", args..., " (", json_.path(), ")");
  }

 private:
  const JsonConfig& json_;
};

}  // namespace mokume
