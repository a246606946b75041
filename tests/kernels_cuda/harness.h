// A device that the cases run on: the executor of kernels/simt, or with --gpu a GPU. Each case is
// written once, against this.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/status.h"
#include "device/cuda/runtime.h"
#include "kernels/cuda/kernels.h"
#include "kernels/simt/executor.h"

namespace mokume::cuda {

/// From now on every TestGpu is this machine's GPU of that index, or a simulated one that is
/// treated as if it were one ("simulated"). NotFound says why there is none.
Status use_gpu(const std::string& which);
/// Whether they are. A GPU counts nothing, and runs in its own order.
bool on_gpu();
/// Whether products with Inputs::kNvfp4 run there.
bool multiplies_nvfp4();

/// Memory and a stream of a device. Failures of the device are failures of the test.
class TestGpu {
 public:
  explicit TestGpu(simt::Order order = simt::Order::kForward);
  ~TestGpu();  ///< also looks whether anything was written around an allocation
  TestGpu(const TestGpu&) = delete;
  TestGpu& operator=(const TestGpu&) = delete;

  template <typename T>
  T* put(const std::vector<T>& values) {
    if (values.empty()) return nullptr;
    T* const pointer = empty<T>(values.size());
    copy_in(pointer, values.data(), values.size() * sizeof(T));
    return pointer;
  }
  /// Memory that was never written: the executor knows, on a GPU it holds NaNs.
  template <typename T>
  T* empty(size_t count) {
    return static_cast<T*>(allocate(count * sizeof(T)));
  }
  /// What is there now; under the executor a failure where something was never written.
  template <typename T>
  std::vector<T> get(const T* pointer, size_t count) {
    std::vector<T> values(count);
    copy_out(values.data(), pointer, count * sizeof(T));
    return values;
  }

  const CudaKernels& kernels() const;
  /// What it stands for, and its stream.
  Gpu& gpu();
  StreamHandle stream();
  /// Launches and waits, and fails on any fault that was found.
  template <typename Args>
  void run(int (*op)(const Args&, Stream), const Args& args) {
    launch([&](Stream stream) { return op(args, stream); });
  }

  /// Of what ran since the last reset; on a GPU there are none.
  simt::Counters counted() const;
  void reset_counters();

 private:
  struct State;
  void* allocate(size_t bytes);
  void copy_in(void* to, const void* from, size_t bytes);
  void copy_out(void* to, const void* from, size_t bytes);
  void launch(absl::FunctionRef<int(Stream)> kernel);
  std::unique_ptr<State> state_;
};

/// The orders that a case runs in: a GPU has but one.
std::vector<simt::Order> orders();

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
