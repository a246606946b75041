#include "bench/cuda/observed_gpu.h"

#include <algorithm>
#include <utility>

#include "bench/cuda/traffic.h"

namespace mokume::bench {
namespace {

using namespace cuda;

/// Passes launches on, and counts them.
class CountingQueue : public simt::Queue {
 public:
  CountingQueue(void* queue, int& launches)
      : queue_(static_cast<simt::Queue*>(queue)), launches_(launches) {}
  int submit(const simt::Launch& launch) override {
    ++launches_;
    return queue_->submit(launch);
  }

 private:
  simt::Queue* queue_;
  int& launches_;
};

/// The op that is being launched; its kernels are plain functions that know nothing of it.
struct Launching {
  Op* op = nullptr;
  int positions = 0;
};
thread_local Launching launching;

template <auto kKernel, typename Args>
int noted(const Args& args, Stream stream) {
  if (launching.op) launching.op->least_bytes = least_bytes(args, launching.positions);
  return (simt_kernels().*kKernel)(args, stream);
}

CudaKernels noting_kernels() {
  CudaKernels table = simt_kernels();
  table.embed = noted<&CudaKernels::embed, EmbedArgs>;
  table.rms_norm = noted<&CudaKernels::rms_norm, RmsNormArgs>;
  table.matvec = noted<&CudaKernels::matvec, MatvecArgs>;
  table.gate_up = noted<&CudaKernels::gate_up, GateUpArgs>;
  table.silu_mul = noted<&CudaKernels::silu_mul, SiluMulArgs>;
  table.rope_append = noted<&CudaKernels::rope_append, RopeAppendArgs>;
  table.attention_decode = noted<&CudaKernels::attention_decode, AttentionArgs>;
  table.delta_net_decode = noted<&CudaKernels::delta_net_decode, DeltaNetArgs>;
  return table;
}

}  // namespace

ObservedGpu::ObservedGpu(SimulatedOptions options, int positions)
    : table_(noting_kernels()), positions_(positions) {
  options.before_kernel = [this](const simt::Launch&, simt::Executor& executor) {
    executor.watch(watched_, watched_bytes_);
  };
  options.after_kernel = [this](const simt::Launch&, simt::Executor& executor) {
    after_kernel(executor);
  };
  gpu_ = make_simulated_gpu(options);
}

std::vector<Op> ObservedGpu::take_ops() {
  at_ = 0;
  return std::exchange(ops_, {});
}

Result<void*> ObservedGpu::allocate(uint64_t bytes) {
  MKM_ASSIGN_OR_RETURN(void* const memory, gpu_->allocate(bytes));
  if (bytes > largest_bytes_) {
    largest_ = static_cast<std::byte*>(memory);
    largest_bytes_ = bytes;
  }
  return memory;
}

void ObservedGpu::watch_largest(uint64_t from) {
  watched_ = largest_ + from;
  watched_bytes_ = largest_bytes_ - from;
}

Status ObservedGpu::launch(StreamHandle stream, std::string_view name,
                           absl::FunctionRef<int(Stream)> kernel) {
  Op op;
  op.name = std::string(name);
  launching = {&op, positions_};
  const Status status = gpu_->launch(stream, name, [&](Stream to) {
    CountingQueue queue(to.handle, op.launches);
    return kernel({static_cast<simt::Queue*>(&queue), to.overlap});
  });
  launching = {};
  if (op.launches > 0) (recording_ ? recorded_ : ops_).push_back(std::move(op));
  return status;
}

Status ObservedGpu::begin_capture(StreamHandle stream) {
  recording_ = true;
  recorded_.clear();
  return gpu_->begin_capture(stream);
}

Result<GraphHandle> ObservedGpu::end_capture(StreamHandle stream) {
  recording_ = false;
  MKM_ASSIGN_OR_RETURN(const GraphHandle graph, gpu_->end_capture(stream));
  graphs_[graph] = std::exchange(recorded_, {});
  return graph;
}

Status ObservedGpu::launch_graph(StreamHandle stream, GraphHandle graph) {
  MKM_RETURN_IF_ERROR(gpu_->launch_graph(stream, graph));
  const std::vector<Op>& ops = graphs_[graph];
  ops_.insert(ops_.end(), ops.begin(), ops.end());
  return absl::OkStatus();
}

void ObservedGpu::after_kernel(simt::Executor& executor) {
  if (at_ >= ops_.size() || ++ran_ < ops_[at_].launches) return;
  ops_[at_++].counted = executor.total();
  ran_ = 0;
  executor.reset_counters();
}

}  // namespace mokume::bench
