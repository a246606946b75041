// The one way to a GPU: memory, streams, copies, launches, recorded graphs, a library's products.
// CUDA implements it (driver/), and so does a simulator that runs everything on the CPU
// (simulated_gpu.h).
//
// Errors read "[cuda] device <name>: <what failed>: <why>". InvalidArgument and ResourceExhausted
// are the call's own; Unavailable says that the device is lost: from then on every call on this Gpu
// fails at once, and no other device is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/status.h"
#include "kernels/cuda/kernels.h"

namespace mokume::cuda {

struct GpuInfo {
  int index = 0;     ///< as the driver counts them
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  std::string uuid;  ///< "GPU-5fb8a4a6-..."
  int major = 0;     ///< of the compute capability
  int minor = 0;
  int multiprocessors = 0;
  uint64_t memory_bytes = 0;

  /// Whether it runs products with Inputs::kNvfp4.
  bool multiplies_nvfp4() const { return major == 12 && minor == 0; }
};

using StreamHandle = struct OpaqueStream*;
using GraphHandle = struct OpaqueGraph*;
using ProductHandle = struct OpaqueProduct*;

/// What the factors of a library's product are. Rows of kNvfp4 are 4 bits an element, column 2i in
/// the low half of byte i, with an E4M3 scale for each 16 columns where block_scale_at() says.
enum class ProductType : uint8_t { kF16, kBF16, kInt8, kF8, kNvfp4 };
inline constexpr int kProductTypes = 5;

/// x [any number of tokens][columns] times matrix [rows][columns] transposed.
struct ProductShape {
  ProductType type = ProductType::kF16;
  int rows = 0;
  int columns = 0;
  int tokens = 0;       ///< for how many the way of multiplying is chosen, whatever comes later
  int most_tokens = 0;  ///< that ever come
};

/// Pointers are the device's and 16-byte aligned; `factor` and `accumulate` are not for kInt8.
struct ProductArgs {
  const void* matrix = nullptr;
  const void* matrix_scales = nullptr;  ///< kNvfp4
  const void* x = nullptr;
  const void* x_scales = nullptr;  ///< kNvfp4
  void* out = nullptr;             ///< [tokens][rows] of float32, of int32 for kInt8
  int tokens = 0;
  float factor = 1;         ///< of every sum
  bool accumulate = false;  ///< add to what is in `out`
};

/// One GPU. Calls come from one thread at a time. Work on a stream runs in order and later; what it
/// reads and writes stays valid until synchronize() has returned. Everything is given back before
/// the Gpu goes.
class Gpu {
 public:
  virtual ~Gpu() = default;

  virtual const GpuInfo& info() const = 0;
  virtual const CudaKernels& kernels() const = 0;
  virtual Result<uint64_t> free_memory() = 0;

  /// 256-byte aligned, not zeroed. ResourceExhausted when there is not enough. Giving back never
  /// fails, whatever state the device is in.
  virtual Result<void*> allocate(uint64_t bytes) = 0;
  virtual void free(void* memory) = 0;
  /// Host memory that copies reach directly.
  virtual Result<void*> allocate_pinned(uint64_t bytes) = 0;
  virtual void free_pinned(void* memory) = 0;

  virtual Result<StreamHandle> make_stream() = 0;
  virtual void destroy(StreamHandle stream) = 0;

  virtual Status copy_to_device(StreamHandle stream, void* to, const void* from,
                                uint64_t bytes) = 0;
  virtual Status copy_to_host(StreamHandle stream, void* to, const void* from, uint64_t bytes) = 0;
  virtual Status zero(StreamHandle stream, void* at, uint64_t bytes) = 0;
  /// Calls `kernel` with what is a stream to the functions of kernels(); what it returns other than
  /// 0 is an error. `op` is for messages.
  virtual Status launch(StreamHandle stream, std::string_view op,
                        absl::FunctionRef<int(Stream)> kernel) = 0;
  /// Waits for all work on the stream. Its errors come here: they lose the device.
  virtual Status synchronize(StreamHandle stream) = 0;

  /// What follows on the stream, copies, zeroing and launches, is recorded and not run, until
  /// end_capture() makes a graph of it that may be launched again and again. Arguments are kept as
  /// they were. end_capture() is called even if what was to be recorded failed.
  virtual Status begin_capture(StreamHandle stream) = 0;
  virtual Result<GraphHandle> end_capture(StreamHandle stream) = 0;
  virtual Status launch_graph(StreamHandle stream, GraphHandle graph) = 0;
  virtual void destroy(GraphHandle graph) = 0;

  /// A way of multiplying that needs no memory beside its arguments and adds up each output in one
  /// order, whatever `tokens` are multiplied at once. NotFound where there is no library (see
  /// find_cublas()); Unimplemented where it has no such way for these sizes on this GPU.
  virtual Result<ProductHandle> make_product(const ProductShape& shape) = 0;
  /// A launch like any other.
  virtual Status multiply(StreamHandle stream, ProductHandle product, const ProductArgs& args) = 0;
  virtual void destroy(ProductHandle product) = 0;
};

/// How a configuration names a GPU.
struct GpuSelector {
  int index = 0;
  std::string uuid;  ///< "GPU-..."; empty: by index
};

/// The GPUs of this machine. NotFound says why there are none to be had: "built without CUDA", "no
/// CUDA driver (libcuda.so.1 not found)".
Result<std::vector<GpuInfo>> list_gpus();

/// "cuBLASLt 13.0.0", which multiplies prompts. NotFound says what is missing and what to do;
/// without it they are multiplied by kernels of our own, which are slower.
Result<std::string> find_cublas();

/// `device` is the configuration's name of it, for messages. NotFound lists the GPUs that there
/// are.
Result<std::unique_ptr<Gpu>> open_gpu(const GpuSelector& selector, const std::string& device);

}  // namespace mokume::cuda
