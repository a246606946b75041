// Bounded settings of a Hugging Face config.json, with what holds where one is left out or null.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "weights/json_config.h"

namespace mokume {

/// Borrows the file's settings. Errors name the key and the file.
class HfConfig {
 public:
  explicit HfConfig(const JsonConfig& json) : json_(json) {}

  const JsonConfig& json() const { return json_; }
  bool has(std::string_view key) const { return json_.has(key); }

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

  /// InvalidArgument "[model] ... (file)".
  template <typename... Args>
  Status error(const Args&... args) const {
    return invalid_argument("model", args..., " (", json_.path(), ")");
  }

 private:
  const JsonConfig& json_;
};

}  // namespace mokume
