#include "weights/json_config.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "weights/mapped_file.h"

namespace mokume {
namespace {

using Json = nlohmann::json;
using Values = std::map<std::string, JsonConfig::Value, std::less<>>;

constexpr size_t kMaxBytes = 16 << 20;
constexpr int kMaxDepth = 16;

/// How deep objects and arrays lie in each other, for text that need not be JSON.
int depth_of(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

bool holds_strings(const Json& array) {
  return std::ranges::all_of(array, [](const Json& element) { return element.is_string(); });
}

/// Recursion goes no deeper than kMaxDepth.
void flatten(const std::string& key, const Json& value, Values& values) {
  if (value.is_object()) {
    for (const auto& [name, inner] : value.items()) {
      flatten(key.empty() ? name : str_cat(key, ".", name), inner, values);
    }
  } else if (value.is_array() && holds_strings(value)) {
    values[key] = value.get<std::vector<std::string>>();
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) flatten(str_cat(key, ".", i), value[i], values);
  } else if (value.is_null()) {
    values[key] = std::monostate();
  } else if (value.is_boolean()) {
    values[key] = value.get<bool>();
  } else if (value.is_string()) {
    values[key] = value.get<std::string>();
  } else if (value.is_number_unsigned() &&
             value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()}) {
    values[key] = value.get<double>();
  } else if (value.is_number_integer()) {
    values[key] = value.get<int64_t>();
  } else if (value.is_number_float()) {
    values[key] = value.get<double>();
  }
}

template <typename T>
Result<T> get(const JsonConfig& config, std::string_view key, std::string_view type_name) {
  const auto found = config.values().find(key);
  if (!config.has(key)) {
    return not_found("weights", "no key ", key, " (", config.path(), ")");
  }
  if (const T* typed = std::get_if<T>(&found->second)) return *typed;
  return invalid_argument("weights", key, " must be ", type_name, " (", config.path(), ")");
}

template <typename T>
Result<T> in_range(const JsonConfig& config, std::string_view key, T value, T min, T max) {
  // Written so that a NaN is out of range.
  if (value >= min && value <= max) return value;
  return invalid_argument("weights", key, " is ", value, "; must be ", min, " to ", max, " (",
                          config.path(), ")");
}

}  // namespace

Result<JsonConfig> JsonConfig::open(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file, MappedFile::open(path));
  const std::span<const std::byte> bytes = file->bytes();
  return from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

Result<JsonConfig> JsonConfig::from_text(std::string_view text, const std::string& name) {
  if (text.size() > kMaxBytes) {
    return invalid_argument("weights", "has ", text.size(), " bytes; at most ", kMaxBytes,
                            " are read (", name, ")");
  }
  if (depth_of(text) > kMaxDepth) {
    return invalid_argument("weights", "nests deeper than ", kMaxDepth, " levels (", name, ")");
  }
  JsonConfig config;
  config.path_ = name;
  try {
    const Json json = Json::parse(text);
    if (!json.is_object()) return invalid_argument("weights", "must be an object (", name, ")");
    flatten("", json, config.values_);
  } catch (const Json::parse_error& error) {
    return invalid_argument("weights", "no JSON at byte ", error.byte, " (", name, ")");
  } catch (const Json::exception&) {
    return invalid_argument("weights", "a number is out of range (", name, ")");
  }
  return config;
}

JsonConfig JsonConfig::group(std::string_view name) const {
  const std::string prefix = str_cat(name, ".");
  JsonConfig group;
  group.path_ = str_cat(path_, ", ", name);
  for (auto it = values_.lower_bound(prefix); it != values_.end() && it->first.starts_with(prefix);
       ++it) {
    group.values_.emplace(it->first.substr(prefix.size()), it->second);
  }
  return group;
}

bool JsonConfig::has(std::string_view key) const {
  const auto found = values_.find(key);
  return found != values_.end() && !std::holds_alternative<std::monostate>(found->second);
}

bool JsonConfig::is_null(std::string_view key) const {
  const auto found = values_.find(key);
  return found != values_.end() && std::holds_alternative<std::monostate>(found->second);
}

Result<int64_t> JsonConfig::get_int(std::string_view key, int64_t min, int64_t max) const {
  MKM_ASSIGN_OR_RETURN(const int64_t value, get<int64_t>(*this, key, "an integer"));
  return in_range(*this, key, value, min, max);
}

Result<double> JsonConfig::get_float(std::string_view key, double min, double max) const {
  const auto found = values_.find(key);
  if (found != values_.end() && std::holds_alternative<int64_t>(found->second)) {
    return in_range(*this, key, static_cast<double>(std::get<int64_t>(found->second)), min, max);
  }
  MKM_ASSIGN_OR_RETURN(const double value, get<double>(*this, key, "a number"));
  return in_range(*this, key, value, min, max);
}

Result<bool> JsonConfig::get_bool(std::string_view key) const {
  return get<bool>(*this, key, "true or false");
}

Result<std::string> JsonConfig::get_string(std::string_view key) const {
  return get<std::string>(*this, key, "a string");
}

}  // namespace mokume
