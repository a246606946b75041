#include "cli/memory_probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace mokume {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBufferWords = MemoryProbe::kBufferBytes / sizeof(uint64_t);
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

}  // namespace

MemoryProbe::MemoryProbe(int threads)
    : threads_(std::max(threads, 1)), words_(kBufferWords, uint64_t{1}) {}

double MemoryProbe::read_bytes_per_second(double seconds) {
  std::atomic<uint64_t> blocks = 0, sum = 0;
  const auto start = Clock::now();
  const auto end =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const auto read = [&](size_t part) {
    const size_t size = kBufferWords / static_cast<size_t>(threads_);
    const uint64_t* words = words_.data() + part * size;
    uint64_t own_sum = 0, own_blocks = 0;
    for (size_t at = 0; Clock::now() < end;
         at = at + 2 * kBlockWords > size ? 0 : at + kBlockWords) {
      own_sum += sum_of(words + at, std::min(kBlockWords, size - at));
      ++own_blocks;
    }
    sum += own_sum;
    blocks += own_blocks;
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads_; ++i) helpers.emplace_back(read, static_cast<size_t>(i));
    read(0);
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  sum_ += sum;
  return static_cast<double>(blocks * kBlockWords * sizeof(uint64_t)) / took;
}

}  // namespace mokume
