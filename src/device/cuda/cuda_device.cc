#include "device/cuda/cuda_device.h"

#include "absl/strings/strip.h"
#include "base/text.h"
#include "device/cuda/cuda_stage.h"
#include "device/worker.h"

namespace mokume {
namespace {

class CudaDevice : public Device {
 public:
  CudaDevice(std::string name, std::string kind, std::unique_ptr<cuda::Gpu> gpu,
             const std::string& missing = "")
      : gpu_(std::move(gpu)) {
    const cuda::GpuInfo& gpu_info = gpu_->info();
    info_.name = std::move(name);
    info_.kind = std::move(kind);
    info_.description = str_cat(gpu_info.name, ", ", gpu_info.uuid, missing);
    info_.memory_bytes = gpu_info.memory_bytes;
  }

  const DeviceInfo& info() const override { return info_; }

  Result<std::unique_ptr<Stage>> make_stage(const StageOptions& options) override {
    auto stage = std::make_unique<cuda::CudaStage>(options, *gpu_, worker_, info_.name);
    Status loaded;
    worker_.run([&] { loaded = stage->load(); });
    MKM_RETURN_IF_ERROR(loaded);
    return stage;
  }

 private:
  std::unique_ptr<cuda::Gpu> gpu_;  // goes after the worker, which uses it
  DeviceInfo info_;
  DeviceWorker worker_;
};

}  // namespace

Result<std::unique_ptr<Device>> make_cuda_device(const CudaDeviceOptions& options) {
  MKM_ASSIGN_OR_RETURN(auto gpu, cuda::open_gpu(options.gpu, options.name));
  const Result<std::string> cublas = cuda::find_cublas();
  const std::string missing =
      cublas.ok() ? "" : str_cat("; ", absl::StripPrefix(cublas.status().message(), "[cuda] "));
  return std::make_unique<CudaDevice>(options.name, "cuda", std::move(gpu), missing);
}

Result<std::unique_ptr<Device>> make_simulated_cuda_device(const cuda::SimulatedOptions& options) {
  return std::make_unique<CudaDevice>(options.device, "cuda-sim",
                                      cuda::make_simulated_gpu(options));
}

}  // namespace mokume
