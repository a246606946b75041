#include "model/quantization_settings.h"

#include "absl/strings/escaping.h"

namespace mokume {
namespace {

constexpr std::string_view kSupported =
    "; supported are compressed-tensors int-quantized and pack-quantized (8 bits, symmetric, a "
    "scale a channel or tensor), float-quantized (FP8 E4M3, likewise) and nvfp4-pack-quantized, "
    "and ModelOpt FP8 and NVFP4";

}  // namespace

bool QuantizationSettings::has_any(const std::string& full_key) const {
  return json().has(full_key) || !below(full_key).empty();
}

std::vector<std::string> QuantizationSettings::below(const std::string& full_key) const {
  std::vector<std::string> found;
  const std::string prefix = full_key + ".";
  const auto& values = json().values();
  for (auto at = values.lower_bound(prefix); at != values.end() && at->first.starts_with(prefix);
       ++at) {
    std::string name = at->first.substr(0, at->first.find('.', prefix.size()));
    if (found.empty() || found.back() != name) found.push_back(std::move(name));
  }
  return found;
}

Result<std::vector<std::string>> QuantizationSettings::list(const std::string& full_key) const {
  if (!has_any(full_key)) return std::vector<std::string>();
  const auto found = json().values().find(full_key);
  if (found != json().values().end()) {
    if (const auto* names = std::get_if<std::vector<std::string>>(&found->second)) return *names;
  }
  return config_.error(full_key, " must be an array of strings");
}

Status QuantizationSettings::unsupported(const std::string& full_key, std::string_view value,
                                         std::string_view note) const {
  return unsupported(str_cat(full_key, " \"", absl::CHexEscape(std::string(value.substr(0, 100))),
                             "\"", note, " is not supported"));
}

Status QuantizationSettings::unsupported(const std::string& text) const {
  return config_.error(text, kSupported);
}

Status QuantizationSettings::at(const std::string& full_key, const Status& status) const {
  if (status.ok()) return status;
  return {status.code(),
          str_cat(std::string(status.message()), " (", full_key, ", ", json().path(), ")")};
}

}  // namespace mokume
