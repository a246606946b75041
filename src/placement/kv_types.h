// What devices keep keys and values as.
#pragma once

#include "base/status.h"
#include "config/config.h"
#include "tensor/kv_type.h"

namespace mokume {

/// What a stage on `device` keeps: F32 when it is exact, what the configuration says, or the
/// device's own choice. An error names what devices of this kind keep, with file and line.
Result<KvType> kv_type_on(const DeviceConfig& device, const SchedulerConfig& scheduler, bool exact);

}  // namespace mokume
