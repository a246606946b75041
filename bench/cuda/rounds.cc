#include "bench/cuda/rounds.h"

#include <algorithm>
#include <chrono>

#include "device/cuda/blocks.h"
#include "device/cuda/launches.h"

namespace mokume::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Launches between two waits, so that waiting is little of it.
constexpr int kLaunchesAtOnce = 8;

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

Result<std::vector<std::vector<double>>> measure_in_turn(
    const std::vector<std::function<Status()>>& works, int rounds, double seconds_a_round) {
  for (const auto& work : works) MKM_RETURN_IF_ERROR(work());
  std::vector<std::vector<double>> times(works.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < works.size(); ++i) {
      int calls = 0;
      const auto start = Clock::now();
      do {
        MKM_RETURN_IF_ERROR(works[i]());
        ++calls;
      } while (seconds_since(start) < seconds_a_round);
      times[i].push_back(seconds_since(start) / calls);
    }
  }
  return times;
}

Result<MemoryRates> measure_memory(cuda::Gpu& gpu, const BenchKernels& kernels, uint64_t bytes,
                                   int rounds, double seconds_a_round) {
  MKM_ASSIGN_OR_RETURN(const cuda::OwnedStream stream, cuda::make_stream(gpu));
  MKM_ASSIGN_OR_RETURN(const auto from, cuda::DeviceBlock::allocate(gpu, bytes));
  MKM_ASSIGN_OR_RETURN(const auto to, cuda::DeviceBlock::allocate(gpu, bytes));
  MKM_ASSIGN_OR_RETURN(const auto sink, cuda::DeviceBlock::allocate(gpu, sizeof(uint32_t)));
  cuda::Launches begin(gpu, stream.get());
  begin.zero(from.data(), bytes);
  MKM_RETURN_IF_ERROR(begin.status());
  const auto work = [&](void* out) {
    return [&, out]() -> Status {
      cuda::Launches go(gpu, stream.get());
      for (int i = 0; i < kLaunchesAtOnce; ++i) {
        go("memory", kernels.memory,
           MemoryArgs{from.data(), out, reinterpret_cast<uint32_t*>(sink.data()), bytes});
      }
      MKM_RETURN_IF_ERROR(go.status());
      return gpu.synchronize(stream.get());
    };
  };
  MKM_ASSIGN_OR_RETURN(const auto times,
                       measure_in_turn({work(nullptr), work(to.data())}, rounds, seconds_a_round));
  MemoryRates rates;
  const auto rate = [&](const std::vector<double>& of, double passes) {
    std::vector<double> values;
    for (const double seconds : of) {
      values.push_back(passes * static_cast<double>(bytes) * kLaunchesAtOnce / seconds);
    }
    return spread_of(values);
  };
  rates.read = rate(times[0], 1);
  rates.copy = rate(times[1], 2);
  return rates;
}

}  // namespace mokume::bench
