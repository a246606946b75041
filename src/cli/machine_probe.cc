#include "cli/machine_probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "kernels/cpu/peak.h"

namespace mokume {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBufferWords = MachineProbe::kBufferBytes / sizeof(uint64_t);
constexpr size_t kBlockWords = (size_t{1} << 20) / sizeof(uint64_t);  // between looks at the clock

uint64_t sum_of(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

/// Calls work(thread, end) on every thread, which works until `end` and returns how many pieces it
/// did; returns the pieces a second of all.
double pieces_per_second(int threads, double seconds,
                         const std::function<uint64_t(size_t, Clock::time_point)>& work) {
  std::atomic<uint64_t> pieces = 0;
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i) {
      helpers.emplace_back([&, i] { pieces += work(static_cast<size_t>(i), end); });
    }
    pieces += work(0, end);
  }
  return static_cast<double>(pieces) / std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

MachineProbe::MachineProbe(int threads)
    : threads_(std::max(threads, 1)), words_(kBufferWords, uint64_t{1}) {}

double MachineProbe::read_bytes_per_second(double seconds) {
  std::atomic<uint64_t> sum = 0;
  const auto read = [&](size_t thread, Clock::time_point end) {
    const size_t size = kBufferWords / static_cast<size_t>(threads_);
    const uint64_t* words = words_.data() + thread * size;
    uint64_t own_sum = 0, blocks = 0;
    for (size_t at = 0; Clock::now() < end;
         at = at + 2 * kBlockWords > size ? 0 : at + kBlockWords) {
      own_sum += sum_of(words + at, std::min(kBlockWords, size - at));
      ++blocks;
    }
    sum += own_sum;
    return blocks;
  };
  const double blocks = pieces_per_second(threads_, seconds, read);
  sum_ += sum;
  return blocks * kBlockWords * sizeof(uint64_t);
}

double MachineProbe::int8_operations_per_second(double seconds) const {
  const kernels::PeakLoop loop = kernels::int8_peak_loop(kernels::best_cpu_kernels().isa);
  if (!loop.run) return 0;
  const auto multiply = [&](size_t, Clock::time_point end) {
    uint64_t runs = 0;
    for (; Clock::now() < end; ++runs) loop.run();
    return runs;
  };
  return loop.operations * pieces_per_second(threads_, seconds, multiply);
}

}  // namespace mokume
