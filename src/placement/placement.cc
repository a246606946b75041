#include "placement/placement.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"
#include "base/text.h"
#include "model/memory.h"
#include "placement/coverage.h"
#include "placement/kv_types.h"

namespace mokume {
namespace {

constexpr int kFewestPages = 2;
constexpr int kFewestTokens =
    64;  ///< a KV cache that holds less of a sequence is a mistake in the file

Result<std::vector<StageConfig>> resolve_stages(const Config& config, int layers) {
  if (config.devices.empty()) {
    return invalid_argument("placement", "no device is declared (",
                            config.placement_where.to_string(), ")");
  }
  if (!config.stages.empty()) {
    MKM_RETURN_IF_ERROR(check_coverage(config.stages, config.devices, layers));
    return config.stages;
  }
  const DeviceConfig& device = config.devices.front();
  return std::vector<StageConfig>{{device.name, 0, layers - 1, device.where}};
}

/// `name` is that of a declared device.
const DeviceConfig& device_of(const Config& config, const std::string& name) {
  return *std::ranges::find(config.devices, name, &DeviceConfig::name);
}

Status too_small(const SchedulerConfig& scheduler, uint64_t page_bytes, uint64_t needed_pages) {
  const std::optional<uint64_t> needed = checked_mul(page_bytes, needed_pages);
  const uint64_t tokens = scheduler.kv_cache_bytes / page_bytes * scheduler.page_tokens;
  return invalid_argument(
      "placement", "scheduler.kv_cache.memory of ", format_bytes(scheduler.kv_cache_bytes),
      " holds ", tokens, " tokens; at least ", needed_pages * scheduler.page_tokens,
      " are needed, which take ", needed ? format_bytes(*needed) : "more than there can be", " (",
      scheduler.kv_cache_where.to_string(), ")");
}

/// Sets the number of pages and the context that they hold. `page_bytes` is of one page over all
/// layers.
Status plan_pages(const ModelSpec& spec, const SchedulerConfig& scheduler, uint64_t page_bytes,
                  PlacementPlan& plan) {
  const int64_t page_tokens = scheduler.page_tokens;
  const int64_t context_pages = div_up(spec.context_length, page_tokens);
  const int64_t fewest = std::max<int64_t>(
      kFewestPages, div_up(std::min(kFewestTokens, spec.context_length), page_tokens));
  const int64_t useful = std::max(fewest, std::max(1, scheduler.max_sequences) * context_pages);
  const uint64_t most = std::min<uint64_t>(useful, std::numeric_limits<int32_t>::max());
  const uint64_t pages = std::min(scheduler.kv_cache_bytes / page_bytes, most);
  if (pages < static_cast<uint64_t>(fewest)) return too_small(scheduler, page_bytes, fewest);
  plan.kv_pages = static_cast<int>(pages);
  plan.page_tokens = scheduler.page_tokens;
  plan.max_sequences = scheduler.max_sequences;
  plan.context_length =
      static_cast<int>(std::min<int64_t>(spec.context_length, plan.kv_pages * page_tokens));
  return absl::OkStatus();
}

}  // namespace

Result<PlacementPlan> plan_placement(const ModelSpec& spec, const Config& config, bool exact) {
  const SchedulerConfig& scheduler = config.scheduler;
  if (spec.layers.empty() || spec.context_length <= 0 || scheduler.page_tokens <= 0) {
    return invalid_argument("placement", "the model has no layers or no context (",
                            config.model.where.to_string(), ")");
  }
  MKM_ASSIGN_OR_RETURN(const std::vector<StageConfig> stages,
                       resolve_stages(config, static_cast<int>(spec.layers.size())));
  PlacementPlan plan;
  std::optional<uint64_t> page_bytes = 0;
  for (const StageConfig& stage : stages) {
    const int end = stage.last_layer + 1;
    MKM_ASSIGN_OR_RETURN(const KvType kv,
                         kv_type_on(device_of(config, stage.device), scheduler, exact));
    const auto bytes = stage_kv_page_bytes(spec, stage.first_layer, end, scheduler.page_tokens, kv);
    page_bytes = bytes && page_bytes ? checked_add(*page_bytes, *bytes) : std::nullopt;
    const WeightFormat weights = weight_format_of(stage.weights).value_or(WeightFormat::kKeep);
    plan.stages.push_back({stage.device, stage.first_layer, end,
                           stage_weight_bytes(spec, stage.first_layer, end, weights), kv,
                           bytes.value_or(0), stage_state_bytes(spec, stage.first_layer, end),
                           weights,
                           activations_of(stage.activations).value_or(Activations::kAuto)});
  }
  if (!page_bytes || *page_bytes == 0) {
    return invalid_argument("placement", "the model's KV heads have no usable size (",
                            config.model.where.to_string(), ")");
  }
  MKM_RETURN_IF_ERROR(plan_pages(spec, scheduler, *page_bytes, plan));
  return plan;
}

}  // namespace mokume
