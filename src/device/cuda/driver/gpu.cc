// A GPU through the CUDA runtime, which is linked statically and itself opens the driver: a program
// with this file in it starts on a machine that has none.
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdio>

#include "absl/strings/strip.h"
#include "device/cuda/driver/cublas.h"
#include "device/cuda/runtime.h"

namespace mokume::cuda {
namespace {

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char byte[3];
    std::snprintf(byte, sizeof(byte), "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    text += byte;
  }
  return text;
}

/// Errors after which no call on the device's context can succeed.
bool loses_device(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorDevicesUnavailable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

/// Opening the driver says what is missing better than the runtime's error number.
Status find_driver() {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!driver) return not_found("cuda", "no CUDA driver (libcuda.so.1 not found)");
  return absl::OkStatus();
}

class CudaGpu : public Gpu {
 public:
  CudaGpu(GpuInfo info, std::string device) : info_(std::move(info)), device_(std::move(device)) {}
  ~CudaGpu() override {
    if (library_ && enter_anyway()) cublas_functions()->destroy(library_);
  }

  const GpuInfo& info() const override { return info_; }
  const CudaKernels& kernels() const override { return cuda_kernels(); }

  Result<uint64_t> free_memory() override {
    MKM_RETURN_IF_ERROR(enter());
    size_t free_bytes = 0, total = 0;
    MKM_RETURN_IF_ERROR(check(cudaMemGetInfo(&free_bytes, &total), "asking for free memory"));
    return free_bytes;
  }

  Result<void*> allocate(uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(enter());
    void* memory = nullptr;
    MKM_RETURN_IF_ERROR(
        check(cudaMalloc(&memory, bytes), "allocating ", bytes, " bytes of device memory"));
    return memory;
  }

  void free(void* memory) override {
    if (enter_anyway()) cudaFree(memory);
  }

  Result<void*> allocate_pinned(uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(enter());
    void* memory = nullptr;
    MKM_RETURN_IF_ERROR(check(cudaHostAlloc(&memory, bytes, cudaHostAllocPortable), "allocating ",
                              bytes, " bytes of pinned memory"));
    return memory;
  }

  void free_pinned(void* memory) override {
    if (enter_anyway()) cudaFreeHost(memory);
  }

  Result<StreamHandle> make_stream() override {
    MKM_RETURN_IF_ERROR(enter());
    cudaStream_t stream = nullptr;
    MKM_RETURN_IF_ERROR(
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream"));
    return reinterpret_cast<StreamHandle>(stream);
  }

  void destroy(StreamHandle stream) override {
    if (stream && enter_anyway()) cudaStreamDestroy(of(stream));
  }

  Status copy_to_device(StreamHandle stream, void* to, const void* from, uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(enter());
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, of(stream)), "copying ",
                 bytes, " bytes to the device");
  }

  Status copy_to_host(StreamHandle stream, void* to, const void* from, uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(enter());
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, of(stream)), "copying ",
                 bytes, " bytes from the device");
  }

  Status zero(StreamHandle stream, void* at, uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(enter());
    return check(cudaMemsetAsync(at, 0, bytes, of(stream)), "zeroing ", bytes, " bytes");
  }

  Status launch(StreamHandle stream, std::string_view op,
                absl::FunctionRef<int(Stream)> kernel) override {
    MKM_RETURN_IF_ERROR(enter());
    const int error = kernel(Stream{stream, info_.major >= 9});
    return check(static_cast<cudaError_t>(error), "launching ", op);
  }

  Status synchronize(StreamHandle stream) override {
    MKM_RETURN_IF_ERROR(enter());
    return check(cudaStreamSynchronize(of(stream)), "working");
  }

  Status begin_capture(StreamHandle stream) override {
    MKM_RETURN_IF_ERROR(enter());
    return check(cudaStreamBeginCapture(of(stream), cudaStreamCaptureModeThreadLocal),
                 "beginning a graph");
  }

  Result<GraphHandle> end_capture(StreamHandle stream) override {
    MKM_RETURN_IF_ERROR(enter());
    cudaGraph_t graph = nullptr;
    MKM_RETURN_IF_ERROR(check(cudaStreamEndCapture(of(stream), &graph), "recording a graph"));
    cudaGraphExec_t instance = nullptr;
    const Status made = check(cudaGraphInstantiate(&instance, graph, 0), "making a graph");
    cudaGraphDestroy(graph);
    MKM_RETURN_IF_ERROR(made);
    return reinterpret_cast<GraphHandle>(instance);
  }

  Status launch_graph(StreamHandle stream, GraphHandle graph) override {
    MKM_RETURN_IF_ERROR(enter());
    return check(cudaGraphLaunch(reinterpret_cast<cudaGraphExec_t>(graph), of(stream)),
                 "launching a graph");
  }

  void destroy(GraphHandle graph) override {
    if (graph && enter_anyway()) cudaGraphExecDestroy(reinterpret_cast<cudaGraphExec_t>(graph));
  }

  Result<ProductHandle> make_product(const ProductShape& shape) override {
    MKM_RETURN_IF_ERROR(enter());
    MKM_RETURN_IF_ERROR(start_library());
    MKM_ASSIGN_OR_RETURN(auto product, CublasProduct::make(*cublas_functions(), library_, shape));
    return reinterpret_cast<ProductHandle>(product.release());
  }

  Status multiply(StreamHandle stream, ProductHandle product, const ProductArgs& args) override {
    MKM_RETURN_IF_ERROR(enter());
    const cublasStatus_t status = of(product)->multiply(library_, of(stream), args);
    if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
    // Where the device is the reason, the runtime knows it too.
    MKM_RETURN_IF_ERROR(check(cudaGetLastError(), "launching a product"));
    return internal_error("cuda", "device ", device_,
                          ": launching a product: ", cublas_functions()->status_text(status));
  }

  void destroy(ProductHandle product) override { delete of(product); }

 private:
  static cudaStream_t of(StreamHandle stream) { return reinterpret_cast<cudaStream_t>(stream); }
  static CublasProduct* of(ProductHandle product) {
    return reinterpret_cast<CublasProduct*>(product);
  }

  /// The runtime's current device is the calling thread's.
  bool enter_anyway() const { return cudaSetDevice(info_.index) == cudaSuccess; }

  Status enter() {
    if (!lost_.empty()) return unavailable("cuda", "device ", device_, " is lost: ", lost_);
    return check(cudaSetDevice(info_.index), "choosing the device");
  }

  Status start_library() {
    MKM_RETURN_IF_ERROR(cublas_functions().status());
    if (library_) return absl::OkStatus();
    const cublasStatus_t status = cublas_functions()->create(&library_);
    if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
    library_ = nullptr;
    return not_found("cuda", "device ", device_,
                     ": cuBLASLt does not start: ", cublas_functions()->status_text(status));
  }

  template <typename... What>
  Status check(cudaError_t error, const What&... what) {
    if (error == cudaSuccess) return absl::OkStatus();
    cudaGetLastError();  // an error that is not the device's end stays with this call
    const std::string text = str_cat(what..., ": ", cudaGetErrorString(error));
    if (error == cudaErrorMemoryAllocation) {
      return resource_exhausted("cuda", "device ", device_, ": ", text);
    }
    if (!loses_device(error)) return internal_error("cuda", "device ", device_, ": ", text);
    lost_ = text;
    return unavailable("cuda", "device ", device_, " is lost: ", lost_);
  }

  const GpuInfo info_;
  const std::string device_;
  cublasLtHandle_t library_ = nullptr;
  std::string lost_;
};

Status wrong(cudaError_t error) {
  cudaGetLastError();
  if (error == cudaErrorNoDevice) return not_found("cuda", "no CUDA device");
  if (error == cudaErrorInsufficientDriver) {
    return not_found("cuda", "the CUDA driver is older than this program needs (CUDA ",
                     CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10, ")");
  }
  return not_found("cuda", "the CUDA driver does not start: ", cudaGetErrorString(error));
}

/// Without the room in front, to be said inside another message.
std::string why(const Status& status) {
  return std::string(absl::StripPrefix(status.message(), "[cuda] "));
}

std::string describe(const std::vector<GpuInfo>& gpus) {
  std::string text;
  for (const GpuInfo& gpu : gpus) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", gpu.index, " ", gpu.name, " ", gpu.uuid);
  }
  return text;
}

}  // namespace

Result<std::vector<GpuInfo>> list_gpus() {
  MKM_RETURN_IF_ERROR(find_driver());
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    return wrong(error);
  }
  std::vector<GpuInfo> gpus;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (const cudaError_t error = cudaGetDeviceProperties(&properties, i); error != cudaSuccess) {
      return wrong(error);
    }
    gpus.push_back({i, properties.name, uuid_text(properties.uuid), properties.major,
                    properties.minor, properties.multiProcessorCount, properties.totalGlobalMem});
  }
  return gpus;
}

Result<std::unique_ptr<Gpu>> open_gpu(const GpuSelector& selector, const std::string& device) {
  const Result<std::vector<GpuInfo>> gpus = list_gpus();
  if (!gpus.ok()) return not_found("cuda", "device ", device, ": ", why(gpus.status()));
  for (const GpuInfo& gpu : *gpus) {
    if (selector.uuid.empty() ? gpu.index == selector.index : gpu.uuid == selector.uuid) {
      return std::make_unique<CudaGpu>(gpu, device);
    }
  }
  const std::string wanted =
      selector.uuid.empty() ? str_cat("index ", selector.index) : str_cat("UUID ", selector.uuid);
  return not_found("cuda", "device ", device, ": there is no GPU with ", wanted,
                   "; there are: ", describe(*gpus));
}

}  // namespace mokume::cuda
