#include "cli/devices.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "device/cpu/cpu_device.h"
#include "device/cuda/runtime.h"

namespace mokume {
namespace {

std::string why_none(const Status& status) {
  const std::string message(status.message());
  const size_t end = message.find("] ");
  return end == std::string::npos ? message : message.substr(end + 2);
}

std::string capability(const cuda::GpuInfo& gpu) { return str_cat(gpu.major, ".", gpu.minor); }

void write_table(const DeviceInfo& cpu, const Result<std::vector<cuda::GpuInfo>>& gpus,
                 const Result<std::string>& cublas, std::ostream& out) {
  out << "cpu      " << cpu.description << ", " << format_bytes(cpu.memory_bytes) << " available\n";
  if (!gpus.ok()) out << "cuda     none: " << why_none(gpus.status()) << '\n';
  for (size_t i = 0; gpus.ok() && i < gpus->size(); ++i) {
    const cuda::GpuInfo& gpu = (*gpus)[i];
    out << "cuda " << gpu.index << "   " << gpu.name << ", compute capability " << capability(gpu)
        << ", " << format_bytes(gpu.memory_bytes) << ", " << gpu.uuid << '\n';
  }
  out << "cublas   " << (cublas.ok() ? *cublas : "none: " + why_none(cublas.status())) << '\n';
}

void write_json(const DeviceInfo& cpu, const Result<std::vector<cuda::GpuInfo>>& gpus,
                const Result<std::string>& cublas, std::ostream& out) {
  nlohmann::ordered_json all;
  all["cpu"] = {{"description", cpu.description}, {"available_bytes", cpu.memory_bytes}};
  all["cuda"] = nlohmann::ordered_json::array();
  if (!gpus.ok()) all["cuda_missing"] = why_none(gpus.status());
  for (size_t i = 0; gpus.ok() && i < gpus->size(); ++i) {
    const cuda::GpuInfo& gpu = (*gpus)[i];
    all["cuda"].push_back({{"index", gpu.index},
                           {"name", gpu.name},
                           {"uuid", gpu.uuid},
                           {"compute_capability", capability(gpu)},
                           {"multiprocessors", gpu.multiprocessors},
                           {"memory_bytes", gpu.memory_bytes}});
  }
  if (cublas.ok()) {
    all["cublas"] = *cublas;
  } else {
    all["cublas_missing"] = why_none(cublas.status());
  }
  out << all.dump(2) << '\n';
}

}  // namespace

Status run_devices(bool json, std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(const auto cpu, make_cpu_device({"cpu0", 0, {}, ""}));
  const Result<std::vector<cuda::GpuInfo>> gpus = cuda::list_gpus();
  const Result<std::string> cublas = cuda::find_cublas();
  json ? write_json(cpu->info(), gpus, cublas, out) : write_table(cpu->info(), gpus, cublas, out);
  return absl::OkStatus();
}

}  // namespace mokume
