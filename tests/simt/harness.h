// A simulated device for tests: runs a kernel and tells its fault.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/portable.cuh"
#include "kernels/simt/executor.h"

namespace mokume::simt {

class Device {
 public:
  explicit Device(Order order = Order::kForward)
      : executor_(memory_, {.order = order, .seed = 7}) {}

  template <typename T>
  T* put(const std::vector<T>& values) {
    T* pointer = empty<T>(values.size());
    std::memcpy(pointer, values.data(), values.size() * sizeof(T));
    memory_.mark(pointer, values.size() * sizeof(T), true);
    return pointer;
  }
  template <typename T>
  T* empty(size_t count) {
    return static_cast<T*>(memory_.allocate(count * sizeof(T)));
  }

  /// The fault's text, empty when there was none.
  template <typename Kernel, typename... Args>
  std::string run(Kernel kernel, cuda::Grid grid, unsigned threads, size_t shared, Args... args) {
    ImmediateQueue queue(executor_);
    const cuda::Stream stream{&queue};
    const int status =
        cuda::host::launch(stream, "planted", kernel, grid, threads, shared, args...);
    return (status != 0) == queue.error().empty() ? "a status without a text" : queue.error();
  }

  Memory& memory() { return memory_; }
  Executor& executor() { return executor_; }
  Counters counted() const { return executor_.total(); }

 private:
  Memory memory_;
  Executor executor_;
};

}  // namespace mokume::simt
