#include "placement/kv_types.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/text.h"

namespace mokume {
namespace {

constexpr KvType kOnCpus[] = {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kInt16,
                              KvType::kInt8};
constexpr KvType kOnGpus[] = {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kInt8,
                              KvType::kF8};

}  // namespace

Result<KvType> kv_type_on(const DeviceConfig& device, const SchedulerConfig& scheduler,
                          bool exact) {
  if (exact) return KvType::kF32;
  const bool cpu = device.kind == "cpu";
  const std::string& wanted = scheduler.kv_cache_dtype;
  if (wanted == "auto") return cpu ? kCpuKvType : kGpuKvType;
  const std::span<const KvType> kept = cpu ? std::span(kOnCpus) : std::span(kOnGpus);
  const std::optional<KvType> type = kv_type_of(wanted);
  if (type && std::ranges::find(kept, *type) != kept.end()) return *type;
  std::vector<std::string> names;
  for (const KvType each : kept) names.emplace_back(kv_type_name(each));
  return invalid_argument("placement", "scheduler.kv_cache.dtype is ", quote(wanted), "; ",
                          device.name, " is of the kind ", device.kind,
                          ", which keeps one of: ", join(names, ", "), " (",
                          scheduler.kv_cache_dtype_where.to_string(), ")");
}

}  // namespace mokume
