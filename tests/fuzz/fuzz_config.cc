// Any bytes as a configuration: an error or a Config within its bounds, never a crash.
#include <cstdint>
#include <cstdlib>

#include "config/config.h"

namespace {

bool within_bounds(const mokume::Config& config) {
  const mokume::SchedulerConfig& scheduler = config.scheduler;
  return !config.model.path.empty() && !config.devices.empty() && scheduler.max_sequences >= 1 &&
         scheduler.max_sequences <= 4096 && scheduler.page_tokens >= 16 &&
         scheduler.page_tokens % 16 == 0 && scheduler.kv_cache_bytes >= (1u << 20) &&
         config.devices.size() <= 64 && config.stages.size() <= 256;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view yaml(reinterpret_cast<const char*>(data), size);
  const mokume::Result<mokume::Config> config = mokume::parse_config(yaml, "fuzz.yaml");
  const bool good =
      config.ok() ? within_bounds(*config)
                  : std::string(config.status().message()).find("(fuzz.yaml") != std::string::npos;
  if (!good) std::abort();
  return 0;
}
