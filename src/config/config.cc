#include "config/config.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "config/sections.h"

namespace mokume {
namespace {

DeviceConfig default_device(const std::string& file, int threads) {
  DeviceConfig device;
  device.name = "cpu0";
  device.kind = "cpu";
  device.threads = threads;
  device.where = {file, 0};
  return device;
}

Status check_stage_devices(const Config& config) {
  std::vector<std::string> names;
  for (const DeviceConfig& device : config.devices) names.push_back(device.name);
  for (const StageConfig& stage : config.stages) {
    if (std::find(names.begin(), names.end(), stage.device) != names.end()) continue;
    const std::optional<std::string> right = nearest(stage.device, names);
    const std::string hint = right ? str_cat("did you mean ", quote(*right), "?")
                                   : str_cat("declared devices: ", join(names, ", "));
    return invalid_argument("config", "device ", quote(stage.device), " is not declared; ", hint,
                            " (", stage.where.to_string(), ")");
  }
  return absl::OkStatus();
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Status cannot_read(const std::string& path, int error) {
  const std::string message =
      str_cat("cannot read the configuration: ", std::strerror(error), " (", path, ")");
  return error == ENOENT ? not_found("config", message) : invalid_argument("config", message);
}

}  // namespace

std::string ConfigLocation::to_string() const {
  if (file.empty()) return "default configuration";
  return line > 0 ? str_cat(file, ":", line) : file;
}

Result<Config> parse_config(std::string_view yaml, const std::string& file) {
  MKM_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(yaml, file));
  if (root.kind == YamlNode::Kind::kNull) {
    return invalid_argument("config", "the file is empty; at least model: {path: ...} is wanted (",
                            file, ")");
  }
  Config config;
  config.file = file;
  config.model.where = config.placement_where = {file, 0};
  config.scheduler.kv_cache_where = config.scheduler.kv_cache_dtype_where = {file, 0};
  MKM_RETURN_IF_ERROR(read_section(
      ConfigValue(root, "", file),
      {
          {"model", [&](const ConfigValue& value) { return read_model(value, config.model); },
           true},
          {"server", [&](const ConfigValue& value) { return read_server(value, config.server); }},
          {"devices",
           [&](const ConfigValue& value) { return read_devices(value, config.devices); }},
          {"placement", [&](const ConfigValue& value) { return read_placement(value, config); }},
          {"scheduler",
           [&](const ConfigValue& value) { return read_scheduler(value, config.scheduler); }},
          {"log", [&](const ConfigValue& value) { return read_log(value, config.log); }},
      }));
  if (config.devices.empty()) config.devices.push_back(default_device(file, 0));
  MKM_RETURN_IF_ERROR(check_stage_devices(config));
  return config;
}

Result<Config> load_config(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) return cannot_read(path, errno);
  // One byte more than allowed tells a file that is too large, and ends pipes and devices that
  // never do.
  std::string text(kMaxConfigBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get())) return cannot_read(path, errno);
  return parse_config(text, path);
}

Config default_config(const std::string& model_path, int threads) {
  Config config;
  config.model.path = model_path;
  config.devices.push_back(default_device("", threads));
  return config;
}

}  // namespace mokume
