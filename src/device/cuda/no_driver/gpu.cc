// What a build without CUDA has in place of GPUs.
#include "device/cuda/runtime.h"

namespace mokume::cuda {

Result<std::vector<GpuInfo>> list_gpus() { return not_found("cuda", "built without CUDA"); }

Result<std::string> find_cublas() { return not_found("cuda", "built without CUDA"); }

Result<std::unique_ptr<Gpu>> open_gpu(const GpuSelector&, const std::string& device) {
  return not_found("cuda", "device ", device, ": built without CUDA");
}

}  // namespace mokume::cuda
