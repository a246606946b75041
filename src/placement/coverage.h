// Whether the stages of a configuration cover a model's layers.
#pragma once

#include <vector>

#include "base/status.h"
#include "config/config.h"

namespace mokume {

/// OK when `stages` name each of `layers` layers exactly once, in order, and declared devices only.
/// `layers` is at least 1.
Status check_coverage(const std::vector<StageConfig>& stages,
                      const std::vector<DeviceConfig>& devices, int layers);

}  // namespace mokume
