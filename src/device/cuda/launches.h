// A row of launches and copies on one stream, of which the first error counts.
#pragma once

#include <string>
#include <string_view>

#include "device/cuda/runtime.h"

namespace mokume::cuda {

/// After an error nothing more is put on the stream. The Gpu outlives it.
class Launches {
 public:
  Launches(Gpu& gpu, StreamHandle stream) : gpu_(gpu), stream_(stream) {}

  /// `kernel` is one of gpu.kernels(), `op` its name there.
  template <typename Args>
  void operator()(std::string_view op, int (*kernel)(const Args&, Stream), const Args& args) {
    if (!status_.ok()) return;
    if (!kernel) {
      status_ = absl::UnimplementedError(str_cat("[cuda] there is no kernel ", op));
      return;
    }
    status_ = gpu_.launch(stream_, op, [&](Stream stream) { return kernel(args, stream); });
  }

  void multiply(ProductHandle product, const ProductArgs& args) {
    if (status_.ok()) status_ = gpu_.multiply(stream_, product, args);
  }

  void copy_to_device(void* to, const void* from, uint64_t bytes) {
    if (status_.ok() && bytes > 0) status_ = gpu_.copy_to_device(stream_, to, from, bytes);
  }
  void copy_to_host(void* to, const void* from, uint64_t bytes) {
    if (status_.ok() && bytes > 0) status_ = gpu_.copy_to_host(stream_, to, from, bytes);
  }
  void zero(void* at, uint64_t bytes) {
    if (status_.ok() && bytes > 0) status_ = gpu_.zero(stream_, at, bytes);
  }

  const CudaKernels& kernels() const { return gpu_.kernels(); }
  const Status& status() const { return status_; }

 private:
  Gpu& gpu_;
  StreamHandle stream_;
  Status status_;
};

}  // namespace mokume::cuda
