#include "model/hf_quantization.h"

#include "model/quantization_settings.h"

namespace mokume {

Result<HfQuantization> parse_hf_quantization(const JsonConfig& config, const JsonConfig* modelopt) {
  for (const char* prefix : {"quantization_config", "text_config.quantization_config"}) {
    const QuantizationSettings settings(config, prefix);
    if (!settings.has_any(prefix)) continue;
    const std::string key = settings.key("quant_method");
    MKM_ASSIGN_OR_RETURN(const std::string method, config.get_string(key));
    if (method == "compressed-tensors") return parse_compressed_tensors(settings);
    if (method == "modelopt") return parse_modelopt(settings, "ignore");
    const bool fp8 = method == "fp8";
    return settings.unsupported(key, method,
                                fp8 ? " (FP8 with a scale a block, weight_scale_inv)" : "");
  }
  if (modelopt == nullptr) return HfQuantization();
  return parse_modelopt({*modelopt, "quantization"}, "exclude_modules");
}

std::optional<LinearScheme> HfQuantization::scheme_of(std::string_view module) const {
  using Match = ModuleNames::Match;
  if (ignored.match(module) != Match::kNone) return std::nullopt;
  const Group* closest = nullptr;
  Match best = Match::kNone;
  for (const Group& group : groups) {
    const Match match = group.targets.match(module);
    if (match <= best) continue;
    best = match;
    closest = &group;
  }
  return closest == nullptr ? std::nullopt : closest->scheme;
}

}  // namespace mokume
