// A device that the cases run on. Each case is written once, against this.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "kernels/simt/executor.h"

namespace mokume::cuda {

/// The executor of kernels/simt as a device, with its checks and counters on.
class Gpu {
 public:
  explicit Gpu(simt::Order order = simt::Order::kForward)
      : executor_(memory_, {.order = order, .seed = 11}), queue_(executor_) {}

  template <typename T>
  T* put(const std::vector<T>& values) {
    if (values.empty()) return nullptr;
    T* pointer = empty<T>(values.size());
    std::memcpy(pointer, values.data(), values.size() * sizeof(T));
    memory_.mark(pointer, values.size() * sizeof(T), true);
    return pointer;
  }
  /// Memory that was never written.
  template <typename T>
  T* empty(size_t count) {
    return static_cast<T*>(memory_.allocate(count * sizeof(T)));
  }
  /// What is there now; a failure where something was never written.
  template <typename T>
  std::vector<T> get(const T* pointer, size_t count) {
    EXPECT_TRUE(memory_.written(pointer, count * sizeof(T))) << "not all of the output was written";
    return {pointer, pointer + count};
  }

  const CudaKernels& kernels() const { return simt_kernels(); }
  Stream stream() { return {&queue_}; }
  /// Launches, and fails on any fault that was found.
  template <typename Args>
  void run(int (*op)(const Args&, Stream), const Args& args) {
    EXPECT_EQ(op(args, stream()), 0) << queue_.error();
  }

  simt::Executor& executor() { return executor_; }
  simt::Counters counted() const { return executor_.total(); }

 private:
  simt::Memory memory_;
  simt::Executor executor_;
  simt::ImmediateQueue queue_;
};

inline const simt::Order kOrders[] = {simt::Order::kForward, simt::Order::kReverse,
                                      simt::Order::kRandom};

inline std::vector<float> random_floats(size_t count, unsigned seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// Largest difference over the root mean square of what is expected.
inline double relative_error(const std::vector<float>& values,
                             const std::vector<double>& expected) {
  EXPECT_EQ(values.size(), expected.size());
  double squares = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    squares += expected[i] * expected[i];
    const double difference = std::abs(values[i] - expected[i]);
    worst = difference > worst || std::isnan(difference) ? difference : worst;
  }
  return worst / std::sqrt(squares / static_cast<double>(expected.size()) + 1e-30);
}

}  // namespace mokume::cuda
