// Typed look-ups of metadata.
#include <cmath>
#include <limits>

#include "weights/gguf.h"

namespace mokume {
namespace {

template <typename T>
Result<T> get(const GgufFile& file, std::string_view key, std::string_view type_name) {
  const MetadataValue* value = file.metadata(key);
  if (value == nullptr) {
    return not_found("weights", "no key ", key, " (", file.path(), ")");
  }
  if (const T* typed = std::get_if<T>(value)) return *typed;
  return invalid_argument("weights", key, " must be ", type_name, " (", file.path(), ")");
}

template <typename T>
Status out_of_range(const GgufFile& file, std::string_view key, T value, T min, T max) {
  return invalid_argument("weights", key, " is ", value, "; must be ", min, " to ", max, " (",
                          file.path(), ")");
}

std::optional<std::vector<int64_t>> to_signed(const std::vector<uint64_t>& values) {
  std::vector<int64_t> converted;
  converted.reserve(values.size());
  for (const uint64_t value : values) {
    if (value > std::numeric_limits<int64_t>::max()) return std::nullopt;
    converted.push_back(static_cast<int64_t>(value));
  }
  return converted;
}

}  // namespace

Result<std::string> GgufFile::get_string(std::string_view key) const {
  return get<std::string>(*this, key, "a string");
}

Result<int64_t> GgufFile::get_int(std::string_view key, int64_t min, int64_t max) const {
  const MetadataValue* value = metadata(key);
  if (value != nullptr && std::holds_alternative<uint64_t>(*value)) {
    const uint64_t number = std::get<uint64_t>(*value);
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return invalid_argument("weights", key, " is ", number, "; must be ", min, " to ", max, " (",
                              path(), ")");
    }
    const auto narrowed = static_cast<int64_t>(number);
    if (narrowed < min || narrowed > max) return out_of_range(*this, key, narrowed, min, max);
    return narrowed;
  }
  MKM_ASSIGN_OR_RETURN(const int64_t number, get<int64_t>(*this, key, "an integer"));
  if (number < min || number > max) return out_of_range(*this, key, number, min, max);
  return number;
}

Result<double> GgufFile::get_float(std::string_view key, double min, double max) const {
  MKM_ASSIGN_OR_RETURN(const double number, get<double>(*this, key, "a floating-point number"));
  // Written so that a NaN is out of range.
  if (!(number >= min && number <= max)) return out_of_range(*this, key, number, min, max);
  return number;
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
  return get<bool>(*this, key, "a bool");
}

Result<std::vector<std::string>> GgufFile::get_strings(std::string_view key) const {
  return get<std::vector<std::string>>(*this, key, "an array of strings");
}

Result<std::vector<int64_t>> GgufFile::get_ints(std::string_view key) const {
  const MetadataValue* value = metadata(key);
  if (value != nullptr && std::holds_alternative<std::vector<uint64_t>>(*value)) {
    std::optional converted = to_signed(std::get<std::vector<uint64_t>>(*value));
    if (converted) return *std::move(converted);
    return invalid_argument("weights", key, " has a number of 2^63 or more (", path(), ")");
  }
  return get<std::vector<int64_t>>(*this, key, "an array of integers");
}

}  // namespace mokume
