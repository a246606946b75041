// The CPU as a device.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/product_engines.h"
#include "device/device.h"

namespace mokume {

struct CpuDeviceOptions {
  std::string name = "cpu0";
  int threads = 0;         ///< 0: one for every physical core, within the CPU quota
  std::vector<int> cores;  ///< pin thread i to cores[i % size]; empty: no pinning
  /// "scalar", "avx2", "avx-vnni", "avx512-vnni", "neon-dot"; empty: the best the machine has
  std::string isa;
  /// What multiplies weights in F32 and BF16.
  ProductEngines::Use products = ProductEngines::Use::kFaster;
  std::optional<int> numa_node;  ///< threads and memory stay on it
};

/// InvalidArgument for an instruction set that the machine lacks or a core or node that the process
/// may not use.
Result<std::unique_ptr<Device>> make_cpu_device(const CpuDeviceOptions& options);

}  // namespace mokume
