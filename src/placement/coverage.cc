#include "placement/coverage.h"

#include <algorithm>

namespace mokume {
namespace {

/// "layer 7 is" or "layers 12-15 are"; both ends inclusive.
std::string layers_are(int first, int last) {
  return first == last ? str_cat("layer ", first, " is")
                       : str_cat("layers ", first, "-", last, " are");
}

template <typename... Args>
Status wrong(const ConfigLocation& where, const Args&... args) {
  return invalid_argument("placement", args..., " (", where.to_string(), ")");
}

Status check_stage(const StageConfig& stage, const std::vector<DeviceConfig>& devices, int layers) {
  const auto same = [&](const DeviceConfig& device) { return device.name == stage.device; };
  if (std::none_of(devices.begin(), devices.end(), same)) {
    return wrong(stage.where, "device ", stage.device, " is not declared");
  }
  if (stage.first_layer < 0 || stage.first_layer > stage.last_layer) {
    return wrong(stage.where, "layers ", stage.first_layer, "-", stage.last_layer,
                 " are no range; the lower layer comes first");
  }
  if (stage.last_layer >= layers) {
    return wrong(stage.where, layers_are(std::max(stage.first_layer, layers), stage.last_layer),
                 " beyond the model, which has ", layers, layers == 1 ? " layer" : " layers",
                 " (0-", layers - 1, ")");
  }
  return absl::OkStatus();
}

Status check_overlaps(const std::vector<StageConfig>& stages) {
  for (size_t later = 1; later < stages.size(); ++later) {
    for (size_t earlier = 0; earlier < later; ++earlier) {
      const StageConfig& a = stages[earlier];
      const StageConfig& b = stages[later];
      const int first = std::max(a.first_layer, b.first_layer);
      const int last = std::min(a.last_layer, b.last_layer);
      if (first > last) continue;
      return wrong(b.where, layers_are(first, last), " in two stages, on ", a.device, " (line ",
                   a.where.line, ") and on ", b.device);
    }
  }
  return absl::OkStatus();
}

/// `stages` do not overlap.
Status check_gaps(std::vector<StageConfig> stages, int layers) {
  std::sort(stages.begin(), stages.end(), [](const StageConfig& a, const StageConfig& b) {
    return a.first_layer < b.first_layer;
  });
  int expected = 0;
  for (const StageConfig& stage : stages) {
    if (stage.first_layer > expected) {
      return wrong(stage.where, layers_are(expected, stage.first_layer - 1), " on no device");
    }
    expected = stage.last_layer + 1;
  }
  if (expected == layers) return absl::OkStatus();
  return wrong(stages.back().where, layers_are(expected, layers - 1), " on no device");
}

Status check_order(const std::vector<StageConfig>& stages) {
  for (size_t i = 1; i < stages.size(); ++i) {
    const StageConfig& before = stages[i - 1];
    if (stages[i].first_layer > before.last_layer) continue;
    return wrong(stages[i].where, layers_are(stages[i].first_layer, stages[i].last_layer),
                 " listed after layers ", before.first_layer, "-", before.last_layer,
                 "; list the stages in the order of their layers");
  }
  return absl::OkStatus();
}

}  // namespace

Status check_coverage(const std::vector<StageConfig>& stages,
                      const std::vector<DeviceConfig>& devices, int layers) {
  for (const StageConfig& stage : stages) MKM_RETURN_IF_ERROR(check_stage(stage, devices, layers));
  MKM_RETURN_IF_ERROR(check_overlaps(stages));
  MKM_RETURN_IF_ERROR(check_gaps(stages, layers));
  return check_order(stages);
}

}  // namespace mokume
