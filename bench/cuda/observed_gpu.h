// A simulated GPU that keeps an account of what is launched on it, op by op.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cuda/simulated_gpu.h"

namespace mokume::bench {

/// One launch of the stage's code, which may be several of the GPU. Counted from an empty L2.
struct Op {
  std::string name;
  std::optional<double> least_bytes;  ///< of the product's own kernels that traffic.h knows
  int launches = 0;
  simt::Counters counted;
};

/// Recorded graphs are followed: their ops are counted when they run.
class ObservedGpu : public cuda::Gpu {
 public:
  /// `positions`: of the sequences of a step, for the least bytes of an attention.
  ObservedGpu(cuda::SimulatedOptions options, int positions);

  /// What has run since the last call.
  std::vector<Op> take_ops();
  /// From there on, the largest piece of memory that was taken holds activations: what moves there
  /// is counted apart (Counters::watched_bytes).
  void watch_largest(uint64_t from);

  const cuda::GpuInfo& info() const override { return gpu_->info(); }
  const cuda::CudaKernels& kernels() const override { return table_; }
  Result<uint64_t> free_memory() override { return gpu_->free_memory(); }
  Result<void*> allocate(uint64_t bytes) override;
  void free(void* memory) override { gpu_->free(memory); }
  Result<void*> allocate_pinned(uint64_t bytes) override { return gpu_->allocate_pinned(bytes); }
  void free_pinned(void* memory) override { gpu_->free_pinned(memory); }
  Result<cuda::StreamHandle> make_stream() override { return gpu_->make_stream(); }
  void destroy(cuda::StreamHandle stream) override { gpu_->destroy(stream); }
  Status copy_to_device(cuda::StreamHandle stream, void* to, const void* from,
                        uint64_t bytes) override {
    return gpu_->copy_to_device(stream, to, from, bytes);
  }
  Status copy_to_host(cuda::StreamHandle stream, void* to, const void* from,
                      uint64_t bytes) override {
    return gpu_->copy_to_host(stream, to, from, bytes);
  }
  Status zero(cuda::StreamHandle stream, void* at, uint64_t bytes) override {
    return gpu_->zero(stream, at, bytes);
  }
  Status launch(cuda::StreamHandle stream, std::string_view op,
                absl::FunctionRef<int(cuda::Stream)> kernel) override;
  Status synchronize(cuda::StreamHandle stream) override { return gpu_->synchronize(stream); }
  Status begin_capture(cuda::StreamHandle stream) override;
  Result<cuda::GraphHandle> end_capture(cuda::StreamHandle stream) override;
  Status launch_graph(cuda::StreamHandle stream, cuda::GraphHandle graph) override;
  void destroy(cuda::GraphHandle graph) override { gpu_->destroy(graph); }
  Result<cuda::ProductHandle> make_product(const cuda::ProductShape& shape) override {
    return gpu_->make_product(shape);
  }
  Status multiply(cuda::StreamHandle stream, cuda::ProductHandle product,
                  const cuda::ProductArgs& args) override {
    return gpu_->multiply(stream, product, args);
  }
  void destroy(cuda::ProductHandle product) override { gpu_->destroy(product); }

 private:
  void after_kernel(simt::Executor& executor);

  std::unique_ptr<cuda::Gpu> gpu_;
  cuda::CudaKernels table_;
  const int positions_;
  std::vector<Op> recorded_, ops_;  // of the graph being recorded; of what runs or has run
  bool recording_ = false;
  std::map<cuda::GraphHandle, std::vector<Op>> graphs_;
  size_t at_ = 0;  // in ops_: whose kernel runs next
  int ran_ = 0;    // of its kernels
  std::byte* largest_ = nullptr;
  uint64_t largest_bytes_ = 0;
  const void* watched_ = nullptr;
  size_t watched_bytes_ = 0;
};

}  // namespace mokume::bench
