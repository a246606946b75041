#include "model/checkpoint.h"

namespace mokume {

Result<int> Checkpoint::integer(std::string_view name, int min, int max,
                                std::optional<int> fallback) const {
  if (fallback && !has_key(name)) return *fallback;
  MKM_ASSIGN_OR_RETURN(const int64_t value, file_.get_int(key(name), min, max));
  return static_cast<int>(value);
}

Result<double> Checkpoint::real(std::string_view name, double min, double max,
                                std::optional<double> fallback) const {
  if (fallback && !has_key(name)) return *fallback;
  return file_.get_float(key(name), min, max);
}

Result<std::string> Checkpoint::text(std::string_view name, std::string_view fallback) const {
  if (!has_key(name)) return std::string(fallback);
  return file_.get_string(key(name));
}

Result<std::vector<bool>> Checkpoint::flags(std::string_view name) const {
  const MetadataValue* value = file_.metadata(key(name));
  if (value == nullptr) return std::vector<bool>();
  if (const auto* flags = std::get_if<std::vector<bool>>(value)) return *flags;
  return error(key(name), " must be an array of booleans");
}

}  // namespace mokume
