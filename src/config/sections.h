// One reader for each section of the file.
#pragma once

#include "config/config.h"
#include "config/value.h"

namespace mokume {

Status read_model(const ConfigValue& value, ModelConfig& out);
Status read_server(const ConfigValue& value, std::optional<ServerConfig>& out);
/// Names are unique.
Status read_devices(const ConfigValue& value, std::vector<DeviceConfig>& out);
/// Whether the layers fit together and fit the model is for the placement to say.
Status read_placement(const ConfigValue& value, Config& out);
Status read_scheduler(const ConfigValue& value, SchedulerConfig& out);
Status read_log(const ConfigValue& value, LogConfig& out);

/// "127.0.0.1:8080" or "[::1]:8080"; localhost is 127.0.0.1.
Result<ListenAddress> read_listen_address(const ConfigValue& value);

}  // namespace mokume
