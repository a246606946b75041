#include "device/cuda/simulated_gpu.h"

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "device/cuda/simulated_product.h"
#include "kernels/simt/memory.h"

namespace mokume::cuda {
namespace {

/// Something on a stream: what is wrong with it when it has run, or nothing.
using Work = std::function<std::string()>;

class SimulatedGpu;

/// Keeps what kernels are launched with until it is run or recorded.
class SimulatedStream : public simt::Queue {
 public:
  explicit SimulatedStream(SimulatedGpu& gpu) : gpu_(gpu) {}
  int submit(const simt::Launch& launch) override;
  void add(Work work) { (capturing ? recorded : waiting).push_back(std::move(work)); }

  bool capturing = false;
  std::deque<Work> waiting, recorded;

 private:
  SimulatedGpu& gpu_;
};

struct SimulatedGraph {
  std::deque<Work> work;
};

class SimulatedGpu : public Gpu {
 public:
  explicit SimulatedGpu(const SimulatedOptions& options)
      : options_(options),
        ledger_(options.ledger ? options.ledger : std::make_shared<SimulatedLedger>()),
        executor_(memory_, {.order = options.order,
                            .seed = options.seed,
                            .check = options.check,
                            .count = options.after_kernel != nullptr}) {
    info_.name = "simulated";
    info_.uuid = str_cat("SIM-", options.device);
    info_.major = options.major;
    info_.minor = options.minor;
    info_.memory_bytes = options.memory_bytes;
  }

  const GpuInfo& info() const override { return info_; }
  const CudaKernels& kernels() const override { return simt_kernels(); }

  Result<uint64_t> free_memory() override {
    MKM_RETURN_IF_ERROR(check_lost());
    return options_.memory_bytes - std::min<uint64_t>(options_.memory_bytes, device_bytes_);
  }

  Result<void*> allocate(uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(begin_allocation(bytes));
    void* memory =
        device_bytes_ + bytes <= options_.memory_bytes ? memory_.allocate(bytes) : nullptr;
    if (!memory) return no_memory(bytes);
    device_bytes_ += bytes;
    return hold(memory, bytes);
  }

  void free(void* memory) override {
    if (!memory) return;
    device_bytes_ -= let_go(memory);
    memory_.free(memory);
  }

  Result<void*> allocate_pinned(uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(begin_allocation(bytes));
    void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!memory) return no_memory(bytes);
    return hold(memory, bytes);
  }

  void free_pinned(void* memory) override {
    if (memory) let_go(memory);
    std::free(memory);
  }

  Result<StreamHandle> make_stream() override {
    MKM_RETURN_IF_ERROR(check_lost());
    ++ledger_->streams;
    return reinterpret_cast<StreamHandle>(new SimulatedStream(*this));
  }

  void destroy(StreamHandle stream) override {
    if (!stream) return;
    --ledger_->streams;
    delete of(stream);
  }

  Status copy_to_device(StreamHandle stream, void* to, const void* from, uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(begin_copy("a copy to the device"));
    of(stream)->add([this, to, from, bytes]() -> std::string {
      if (!memory_.mark(to, bytes, true)) return "a copy to memory that is not allocated";
      std::memcpy(to, from, bytes);
      return "";
    });
    return absl::OkStatus();
  }

  Status copy_to_host(StreamHandle stream, void* to, const void* from, uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(begin_copy("a copy from the device"));
    of(stream)->add([this, to, from, bytes]() -> std::string {
      if (!memory_.holds(from, bytes)) return "a copy from memory that is not allocated";
      if (!memory_.written(from, bytes)) return "a copy from memory that was never written";
      std::memcpy(to, from, bytes);
      return "";
    });
    return absl::OkStatus();
  }

  Status zero(StreamHandle stream, void* at, uint64_t bytes) override {
    MKM_RETURN_IF_ERROR(begin_copy("zeroing"));
    of(stream)->add([this, at, bytes]() -> std::string {
      if (!memory_.mark(at, bytes, true)) return "zeroing memory that is not allocated";
      std::memset(at, 0, bytes);
      return "";
    });
    return absl::OkStatus();
  }

  Status launch(StreamHandle stream, std::string_view op,
                absl::FunctionRef<int(Stream)> kernel) override {
    MKM_RETURN_IF_ERROR(begin_launch(op));
    if (const int error = kernel(Stream{static_cast<simt::Queue*>(of(stream))}); error != 0) {
      return internal_error("cuda", "device ", options_.device, ": launching ", op, ": error ",
                            error);
    }
    return absl::OkStatus();
  }

  Status synchronize(StreamHandle handle) override {
    MKM_RETURN_IF_ERROR(check_lost());
    SimulatedStream& stream = *of(handle);
    if (++ledger_->synchronizations == options_.faults.lost) return lose("the device is gone");
    while (!stream.waiting.empty()) {
      const Work work = std::move(stream.waiting.front());
      stream.waiting.pop_front();
      if (std::string wrong = work(); !wrong.empty()) {
        stream.waiting.clear();
        return lose(std::move(wrong));
      }
    }
    return absl::OkStatus();
  }

  Status begin_capture(StreamHandle stream) override {
    MKM_RETURN_IF_ERROR(check_lost());
    of(stream)->capturing = true;
    of(stream)->recorded.clear();
    return absl::OkStatus();
  }

  Result<GraphHandle> end_capture(StreamHandle stream) override {
    of(stream)->capturing = false;
    MKM_RETURN_IF_ERROR(check_lost());
    ++ledger_->graphs;
    return reinterpret_cast<GraphHandle>(
        new SimulatedGraph{std::exchange(of(stream)->recorded, {})});
  }

  Status launch_graph(StreamHandle stream, GraphHandle graph) override {
    MKM_RETURN_IF_ERROR(begin_launch("a graph"));
    for (const Work& work : of(graph)->work) of(stream)->add(work);
    return absl::OkStatus();
  }

  void destroy(GraphHandle graph) override {
    if (!graph) return;
    --ledger_->graphs;
    delete of(graph);
  }

  Result<ProductHandle> make_product(const ProductShape& shape) override {
    MKM_RETURN_IF_ERROR(check_lost());
    if (!options_.library) return not_found("cuda", "no simulated library");
    MKM_RETURN_IF_ERROR(check_simulated_product(shape, info_));
    ++ledger_->products;
    return reinterpret_cast<ProductHandle>(new ProductShape(shape));
  }

  Status multiply(StreamHandle stream, ProductHandle product, const ProductArgs& args) override {
    MKM_RETURN_IF_ERROR(begin_launch("a product"));
    of(stream)->add([this, shape = *of(product), args]() -> std::string {
      if (fails()) return "a product: an injected fault";
      ++ledger_->multiplied;
      return run_simulated_product(shape, args, memory_);
    });
    return absl::OkStatus();
  }

  void destroy(ProductHandle product) override {
    if (!product) return;
    --ledger_->products;
    delete of(product);
  }

  /// A kernel's turn on its stream.
  std::string run(const simt::Launch& launch) {
    if (fails()) return str_cat(launch.name, ": an injected fault");
    if (options_.before_kernel) options_.before_kernel(launch, executor_);
    const bool ok = executor_.run(launch);
    if (options_.after_kernel) options_.after_kernel(launch, executor_);
    return ok ? "" : executor_.error();
  }

 private:
  static SimulatedStream* of(StreamHandle handle) {
    return reinterpret_cast<SimulatedStream*>(handle);
  }
  static SimulatedGraph* of(GraphHandle handle) {
    return reinterpret_cast<SimulatedGraph*>(handle);
  }
  static ProductShape* of(ProductHandle handle) { return reinterpret_cast<ProductShape*>(handle); }

  /// Counts a kernel or a product that runs.
  bool fails() { return ++ledger_->kernels == options_.faults.asynchronous; }

  Status check_lost() const {
    if (lost_.empty()) return absl::OkStatus();
    return unavailable("cuda", "device ", options_.device, " is lost: ", lost_);
  }

  Status lose(std::string why) {
    lost_ = std::move(why);
    return check_lost();
  }

  Status begin_allocation(uint64_t bytes) {
    MKM_RETURN_IF_ERROR(check_lost());
    if (++ledger_->allocations == options_.faults.allocation) return no_memory(bytes);
    return absl::OkStatus();
  }

  Status begin_copy(std::string_view what) {
    MKM_RETURN_IF_ERROR(check_lost());
    if (++ledger_->copies != options_.faults.copy) return absl::OkStatus();
    return internal_error("cuda", "device ", options_.device, ": ", what, ": an injected fault");
  }

  Status begin_launch(std::string_view op) {
    MKM_RETURN_IF_ERROR(check_lost());
    if (++ledger_->launches != options_.faults.launch) return absl::OkStatus();
    return internal_error("cuda", "device ", options_.device, ": launching ", op,
                          ": an injected fault");
  }

  Status no_memory(uint64_t bytes) const {
    return resource_exhausted("cuda", "device ", options_.device, ": allocating ", bytes,
                              " bytes: out of memory");
  }

  void* hold(void* memory, uint64_t bytes) {
    held_[memory] = bytes;
    ++ledger_->buffers;
    ledger_->bytes += static_cast<int64_t>(bytes);
    return memory;
  }

  uint64_t let_go(void* memory) {
    const auto found = held_.find(memory);
    if (found == held_.end()) return 0;
    const uint64_t bytes = found->second;
    held_.erase(found);
    --ledger_->buffers;
    ledger_->bytes -= static_cast<int64_t>(bytes);
    return bytes;
  }

  const SimulatedOptions options_;
  const std::shared_ptr<SimulatedLedger> ledger_;
  GpuInfo info_;
  simt::Memory memory_;
  simt::Executor executor_;
  std::map<void*, uint64_t> held_;
  uint64_t device_bytes_ = 0;
  std::string lost_;
};

int SimulatedStream::submit(const simt::Launch& launch) {
  add([this, launch] { return gpu_.run(launch); });
  return 0;
}

}  // namespace

std::unique_ptr<Gpu> make_simulated_gpu(const SimulatedOptions& options) {
  return std::make_unique<SimulatedGpu>(options);
}

}  // namespace mokume::cuda
