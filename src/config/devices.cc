#include <algorithm>

#include "base/text.h"
#include "config/sections.h"

namespace mokume {
namespace {

constexpr size_t kMostDevices = 64;
constexpr size_t kMostStages = 256;
constexpr int kMostThreads = 1024;
constexpr int kLastCore = 4095;
constexpr int kLastNode = 1023;
constexpr int kLastGpu = 255;
constexpr int kLastLayer = 9999;

Status add_core(const ConfigValue& value, int core, std::vector<int>& out) {
  if (std::find(out.begin(), out.end(), core) != out.end()) {
    return value.error(str_cat("names core ", core, " twice"));
  }
  out.push_back(core);
  return absl::OkStatus();
}

/// [0, 1] or 0-3.
Status read_cores(const ConfigValue& value, std::vector<int>& out) {
  if (value.node().kind == YamlNode::Kind::kSequence) {
    return read_list(value, 1, kMostThreads, [&](const ConfigValue& each) -> Status {
      MKM_ASSIGN_OR_RETURN(const int64_t core, read_integer(each, 0, kLastCore));
      return add_core(each, static_cast<int>(core), out);
    });
  }
  if (value.node().kind != YamlNode::Kind::kScalar) {
    return value.wrong_type("a list or a range of cores", "[0, 1] or 0-3");
  }
  MKM_ASSIGN_OR_RETURN(const auto range, read_range(value, kLastCore));
  const auto [first, last] = range;
  if (first > last) {
    return value.error(
        str_cat("is ", quote(value.node().text), "; the lower core comes first, such as 0-3"));
  }
  for (int core = first; core <= last; ++core) out.push_back(core);
  return absl::OkStatus();
}

/// "GPU-" and a UUID of hexadecimal digits, as nvidia-smi prints it.
Status read_uuid(const ConfigValue& value, std::string& out) {
  const std::string example = "GPU-5fb8a4a6-0b3c-4f6e-9f2c-2d1e7a9c4b10";
  MKM_ASSIGN_OR_RETURN(out, read_text(value, example));
  const auto fits = [&](size_t i) {
    return example[i] == '-'
               ? out[i] == '-'
               : std::string_view("0123456789abcdef").find(out[i]) != std::string::npos;
  };
  bool right = out.size() == example.size() && out.starts_with("GPU-");
  for (size_t i = 4; right && i < out.size(); ++i) right = fits(i);
  if (right) return absl::OkStatus();
  return value.error(str_cat("is ", quote(out), "; a GPU's UUID is wanted, such as ", example));
}

/// "launch 40"
Status read_fault(const ConfigValue& value, FaultConfig& out) {
  const std::vector<std::string> kinds = {"allocation", "launch", "copy", "asynchronous", "lost"};
  MKM_ASSIGN_OR_RETURN(const std::string text, read_text(value, "launch 40"));
  const size_t space = text.find(' ');
  out.kind = text.substr(0, space);
  const auto at =
      space == std::string::npos ? std::nullopt : parse_integer<int>(text.substr(space + 1));
  if (std::find(kinds.begin(), kinds.end(), out.kind) != kinds.end() && at && *at >= 1) {
    out.at = *at;
    return absl::OkStatus();
  }
  return value.error(str_cat("is ", quote(text), "; it must be one of ", join(kinds, ", "),
                             " and a number from 1, such as \"launch 40\""));
}

/// That every key given is one for devices of this kind.
Status check_device_keys(const ConfigValue& value, const std::string& kind) {
  const std::pair<std::string_view, std::string_view> keys[] = {
      {"threads", "cpu"}, {"cores", "cpu"}, {"numa_node", "cpu"},
      {"index", "cuda"},  {"uuid", "cuda"}, {"fault", "cuda-sim"}};
  for (const YamlNode::Entry& entry : value.node().entries) {
    for (const auto& [key, wanted] : keys) {
      if (entry.key != key || kind == wanted) continue;
      return value.child(entry.value, key)
          .error(
              str_cat("is for devices of the kind ", wanted, "; this one is of the kind ", kind));
    }
  }
  return absl::OkStatus();
}

Status read_device(const ConfigValue& value, DeviceConfig& out) {
  out.where = value.where();
  bool has_index = false;
  const auto read_index = [&](const ConfigValue& index) {
    has_index = true;
    return integer(out.index, 0, kLastGpu)(index);
  };
  const auto read_node = [&](const ConfigValue& node) {
    return integer(out.numa_node.emplace(), 0, kLastNode)(node);
  };
  MKM_RETURN_IF_ERROR(read_section(
      value, {
                 {"name", name(out.name, "cpu0"), true},
                 {"kind", choice(out.kind, {"cpu", "cuda", "cuda-sim"}), true},
                 {"threads", integer(out.threads, 0, kMostThreads)},
                 {"cores", [&](const ConfigValue& cores) { return read_cores(cores, out.cores); }},
                 {"numa_node", read_node},
                 {"index", read_index},
                 {"uuid", [&](const ConfigValue& uuid) { return read_uuid(uuid, out.uuid); }},
                 {"fault", [&](const ConfigValue& fault) { return read_fault(fault, out.fault); }},
             }));
  MKM_RETURN_IF_ERROR(check_device_keys(value, out.kind));
  if (has_index && !out.uuid.empty()) {
    return value.error("has both \"index\" and \"uuid\"; one of them says which GPU it is");
  }
  if (!out.cores.empty() && out.threads > static_cast<int>(out.cores.size())) {
    return value.error(str_cat("has ", out.threads, " threads on ", out.cores.size(),
                               " cores; give it no more threads than cores, or 0 for one on each"));
  }
  return absl::OkStatus();
}

Status read_stage(const ConfigValue& value, StageConfig& out) {
  out.where = value.where();
  const auto read_layers = [&](const ConfigValue& layers) -> Status {
    MKM_ASSIGN_OR_RETURN(const auto range, read_range(layers, kLastLayer));
    std::tie(out.first_layer, out.last_layer) = range;
    return absl::OkStatus();
  };
  return read_section(
      value, {
                 {"device", name(out.device, "cpu0"), true},
                 {"layers", read_layers, true},
                 {"weights", choice(out.weights, {"keep", "int8", "fp16", "bf16", "nvfp4"})},
                 {"activations", choice(out.activations, {"auto", "int8", "fp8", "nvfp4"})},
             });
}

}  // namespace

Status read_devices(const ConfigValue& value, std::vector<DeviceConfig>& out) {
  return read_list(value, 1, kMostDevices, [&](const ConfigValue& each) -> Status {
    DeviceConfig device;
    MKM_RETURN_IF_ERROR(read_device(each, device));
    for (const DeviceConfig& other : out) {
      if (other.name != device.name) continue;
      return each.error(str_cat("has the name ", quote(device.name), " that the device in line ",
                                other.where.line, " has; give each its own"));
    }
    out.push_back(std::move(device));
    return absl::OkStatus();
  });
}

Status read_placement(const ConfigValue& value, Config& out) {
  out.placement_where = value.where();
  const auto read_stages = [&](const ConfigValue& stages) {
    return read_list(stages, 1, kMostStages, [&](const ConfigValue& each) {
      return read_stage(each, out.stages.emplace_back());
    });
  };
  return read_section(value, {{"stages", read_stages, true}});
}

}  // namespace mokume
