#include "absl/strings/escaping.h"
#include "model/quantization_settings.h"

namespace mokume {
namespace {

constexpr size_t kMaxGroups = 64;

/// How the library describes a group's weights.
struct WeightArgs {
  int64_t bits = 0;
  std::string type;      ///< "int", "float"
  std::string strategy;  ///< "tensor", "channel", "group", "tensor_group", "block", ...
  int group_size = 0;
  bool symmetric = true;
};

Result<WeightArgs> weight_args(const QuantizationSettings& settings, const std::string& prefix) {
  const HfConfig& config = settings.config();
  WeightArgs args;
  MKM_ASSIGN_OR_RETURN(args.bits, config.json().get_int(prefix + ".num_bits", 1, 64));
  MKM_ASSIGN_OR_RETURN(args.type, config.text(prefix + ".type", "int"));
  MKM_ASSIGN_OR_RETURN(args.symmetric, config.flag(prefix + ".symmetric", true));
  MKM_ASSIGN_OR_RETURN(args.group_size, config.integer(prefix + ".group_size", -1, 1 << 20, 0));
  // The library's own rule where nothing is said.
  const std::string_view usual =
      args.group_size == 0 ? "tensor" : (args.group_size < 0 ? "channel" : "group");
  MKM_ASSIGN_OR_RETURN(args.strategy, config.text(prefix + ".strategy", usual));
  return args;
}

std::string to_text(const WeightArgs& args) {
  const auto safe = [](const std::string& text) { return absl::CHexEscape(text.substr(0, 100)); };
  std::string text =
      str_cat(args.bits, "-bit ", safe(args.type), ", a scale a ", safe(args.strategy));
  if (args.group_size > 0) text += str_cat(" of ", args.group_size);
  return text + (args.symmetric ? "" : ", asymmetric");
}

std::optional<LinearScheme> scheme_of(const WeightArgs& args) {
  constexpr int kNvfp4Group = 16;
  if (!args.symmetric) return std::nullopt;
  const bool whole_rows = args.strategy == "channel" || args.strategy == "tensor";
  if (args.bits == 8 && whole_rows && args.type == "int") return LinearScheme::kInt8;
  if (args.bits == 8 && whole_rows && args.type == "float") return LinearScheme::kFp8;
  const bool fp4 = args.bits == 4 && args.type == "float" && args.strategy == "tensor_group";
  if (fp4 && args.group_size == kNvfp4Group) return LinearScheme::kNvfp4;
  return std::nullopt;
}

/// Whether weights of the scheme may be stored in this format; empty leaves it to the tensors.
bool may_be(LinearScheme scheme, std::string_view format) {
  if (format.empty() || format == "mixed-precision") return true;
  switch (scheme) {
    case LinearScheme::kInt8:
      return format == "int-quantized" || format == "pack-quantized" || format == "naive-quantized";
    case LinearScheme::kFp8:
      return format == "float-quantized" || format == "naive-quantized";
    case LinearScheme::kNvfp4:
      return format == "nvfp4-pack-quantized";
    case LinearScheme::kModelOptNvfp4:
      return false;
  }
  return false;
}

/// What the weights would have to be unpacked from, or multiplied with, first.
Status check_transforms(const QuantizationSettings& settings) {
  const std::string transforms = settings.key("transform_config");
  if (settings.has_any(transforms)) {
    return settings.unsupported(transforms + ": transformed weights are not supported");
  }
  const std::string sparsity = settings.key("sparsity_config.format");
  MKM_ASSIGN_OR_RETURN(const std::string format, settings.config().text(sparsity, "dense"));
  if (format == "dense") return absl::OkStatus();
  return settings.unsupported(sparsity, format);
}

Result<HfQuantization::Group> parse_group(const QuantizationSettings& settings,
                                          const std::string& key, const std::string& format) {
  HfQuantization::Group group;
  const std::string targets_key = key + ".targets", weights_key = key + ".weights";
  MKM_ASSIGN_OR_RETURN(const auto targets, settings.list(targets_key));
  for (const std::string& entry : targets) {
    MKM_RETURN_IF_ERROR(settings.at(targets_key, group.targets.add(entry)));
  }
  if (!settings.has_any(weights_key)) return group;
  MKM_ASSIGN_OR_RETURN(const WeightArgs args, weight_args(settings, weights_key));
  MKM_ASSIGN_OR_RETURN(const std::string own, settings.config().text(key + ".format", format));
  group.scheme = scheme_of(args);
  if (group.scheme && may_be(*group.scheme, own)) return group;
  return settings.unsupported(str_cat(key, ": weights of ", to_text(args), " in format \"",
                                      absl::CHexEscape(own.substr(0, 100)),
                                      "\" are not supported"));
}

}  // namespace

Result<HfQuantization> parse_compressed_tensors(const QuantizationSettings& settings) {
  MKM_RETURN_IF_ERROR(check_transforms(settings));
  HfQuantization quantization;
  quantization.has_kv_scheme = settings.has_any(settings.key("kv_cache_scheme"));
  const std::string ignore_key = settings.key("ignore");
  MKM_ASSIGN_OR_RETURN(const auto ignored, settings.list(ignore_key));
  for (const std::string& entry : ignored) {
    MKM_RETURN_IF_ERROR(settings.at(ignore_key, quantization.ignored.add(entry)));
  }
  MKM_ASSIGN_OR_RETURN(const std::string format,
                       settings.config().text(settings.key("format"), ""));
  const std::string groups_key = settings.key("config_groups");
  const std::vector<std::string> groups = settings.below(groups_key);
  if (groups.size() > kMaxGroups) {
    return settings.config().error(groups_key, " has ", groups.size(), "; at most ", kMaxGroups,
                                   " are supported");
  }
  for (const std::string& key : groups) {
    MKM_ASSIGN_OR_RETURN(HfQuantization::Group group, parse_group(settings, key, format));
    quantization.groups.push_back(std::move(group));
  }
  return quantization;
}

}  // namespace mokume
