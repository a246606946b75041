#include "model/quantization_settings.h"

namespace mokume {
namespace {

Result<LinearScheme> scheme_of(const QuantizationSettings& settings, const std::string& key) {
  MKM_ASSIGN_OR_RETURN(const std::string algorithm, settings.json().get_string(key));
  if (algorithm == "NVFP4") return LinearScheme::kModelOptNvfp4;
  if (algorithm == "FP8" || algorithm == "FP8_PER_CHANNEL_PER_TOKEN") return LinearScheme::kFp8;
  return settings.unsupported(key, algorithm);
}

Status check_group_size(const QuantizationSettings& settings, const std::string& key,
                        LinearScheme scheme) {
  constexpr int kNvfp4Group = 16;
  if (scheme != LinearScheme::kModelOptNvfp4) return absl::OkStatus();
  MKM_ASSIGN_OR_RETURN(const int size, settings.config().integer(key, 1, 1 << 20, kNvfp4Group));
  if (size == kNvfp4Group) return absl::OkStatus();
  return settings.config().error(key, " is ", size, "; NVFP4 has groups of ", kNvfp4Group);
}

/// "quantized_layers": {"model.layers.0.mlp.up_proj": {"quant_algo": "FP8"}, ...}
Status add_layers(const QuantizationSettings& settings, HfQuantization& quantization) {
  constexpr std::string_view kAlgorithm = ".quant_algo";
  HfQuantization::Group fp8{LinearScheme::kFp8, {}}, nvfp4{LinearScheme::kModelOptNvfp4, {}};
  const std::string prefix = settings.key("quantized_layers.");
  const auto& values = settings.json().values();
  for (auto at = values.lower_bound(prefix); at != values.end() && at->first.starts_with(prefix);
       ++at) {
    const std::string& key = at->first;
    if (!key.ends_with(kAlgorithm)) continue;
    MKM_ASSIGN_OR_RETURN(const LinearScheme scheme, scheme_of(settings, key));
    const std::string layer = key.substr(0, key.size() - kAlgorithm.size());
    MKM_RETURN_IF_ERROR(check_group_size(settings, layer + ".group_size", scheme));
    if (layer.size() < prefix.size()) continue;
    ModuleNames& targets = scheme == LinearScheme::kFp8 ? fp8.targets : nvfp4.targets;
    MKM_RETURN_IF_ERROR(settings.at(key, targets.add(layer.substr(prefix.size()))));
  }
  quantization.groups.push_back(std::move(fp8));
  quantization.groups.push_back(std::move(nvfp4));
  return absl::OkStatus();
}

}  // namespace

Result<HfQuantization> parse_modelopt(const QuantizationSettings& settings,
                                      std::string_view ignored) {
  HfQuantization quantization;
  quantization.has_kv_scheme = settings.has_any(settings.key("kv_cache_quant_algo")) ||
                               settings.has_any(settings.key("kv_cache_scheme"));
  const std::string ignored_key = settings.key(ignored);
  MKM_ASSIGN_OR_RETURN(const auto entries, settings.list(ignored_key));
  for (const std::string& entry : entries) {
    MKM_RETURN_IF_ERROR(settings.at(ignored_key, quantization.ignored.add_glob(entry)));
  }
  const std::string key = settings.key("quant_algo");
  if (settings.json().is_null(key)) return quantization;  // keys and values alone
  MKM_ASSIGN_OR_RETURN(const std::string algorithm, settings.json().get_string(key));
  if (algorithm == "MIXED_PRECISION") {
    MKM_RETURN_IF_ERROR(add_layers(settings, quantization));
    return quantization;
  }
  HfQuantization::Group all;
  MKM_ASSIGN_OR_RETURN(all.scheme, scheme_of(settings, key));
  MKM_RETURN_IF_ERROR(check_group_size(settings, settings.key("group_size"), *all.scheme));
  MKM_RETURN_IF_ERROR(all.targets.add("Linear"));
  quantization.groups.push_back(std::move(all));
  return quantization;
}

}  // namespace mokume
