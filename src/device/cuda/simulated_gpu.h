// A GPU whose memory is the host's and whose kernels run on the CPU, in the executor that checks
// them: for tests, and for the device kind "cuda-sim". It can be made to fail.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "device/cuda/runtime.h"
#include "kernels/simt/executor.h"

namespace mokume::cuda {

/// What goes wrong, and when: the n-th of its kind from the beginning, counted from 1; 0 never.
struct SimulatedFaults {
  int allocation = 0;    ///< this allocation fails, the device's and pinned ones counted together
  int launch = 0;        ///< this launch is refused, recorded ones, graphs and products included
  int copy = 0;          ///< this copy or zeroing is refused, recorded ones included
  int asynchronous = 0;  ///< this kernel or product fails while it runs, which loses the device
  int lost = 0;          ///< this synchronize() finds the device gone
};

/// What a simulated GPU has done and what it holds; outlives it.
struct SimulatedLedger {
  // Held now.
  std::atomic<int64_t> bytes = 0;
  std::atomic<int> buffers = 0, streams = 0, graphs = 0, products = 0;
  // So far, refused ones included.
  std::atomic<int> allocations = 0, launches = 0, copies = 0, synchronizations = 0;
  std::atomic<int> kernels = 0;     ///< run so far, products included
  std::atomic<int> multiplied = 0;  ///< products run so far

  bool holds_nothing() const {
    return bytes == 0 && buffers == 0 && streams == 0 && graphs == 0 && products == 0;
  }
};

struct SimulatedOptions {
  std::string device = "gpu0";  ///< for messages
  uint64_t memory_bytes = uint64_t{8} << 30;
  SimulatedFaults faults;
  int major = 12, minor = 0;  ///< of the compute capability, which the library looks at
  bool library = true;        ///< whether there is one that multiplies
  bool check = true;          ///< this and the next two: as simt::ExecutorOptions has them
  simt::Order order = simt::Order::kForward;
  uint64_t seed = 1;
  /// Called around every kernel, with the executor, which counts where there is the second.
  std::function<void(const simt::Launch&, simt::Executor&)> before_kernel, after_kernel;
  std::shared_ptr<SimulatedLedger> ledger;  ///< may be null
};

/// Work on a stream waits until somebody synchronizes, so that what is read too early is stale.
std::unique_ptr<Gpu> make_simulated_gpu(const SimulatedOptions& options);

}  // namespace mokume::cuda
