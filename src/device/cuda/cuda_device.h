// An NVIDIA GPU as a device, and a simulated one.
#pragma once

#include <memory>
#include <string>

#include "device/cuda/runtime.h"
#include "device/cuda/simulated_gpu.h"
#include "device/device.h"

namespace mokume {

struct CudaDeviceOptions {
  std::string name = "gpu0";
  cuda::GpuSelector gpu;
};

/// NotFound says what is missing: CUDA in this build, the driver, that GPU.
Result<std::unique_ptr<Device>> make_cuda_device(const CudaDeviceOptions& options);

/// Its kind is "cuda-sim".
Result<std::unique_ptr<Device>> make_simulated_cuda_device(const cuda::SimulatedOptions& options);

}  // namespace mokume
