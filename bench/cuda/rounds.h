// Times, measured in rounds.
#pragma once

#include <functional>
#include <vector>

#include "bench/cuda/kernels/kernels.h"
#include "device/cuda/runtime.h"

namespace mokume::bench {

struct Spread {
  double min = 0, median = 0, max = 0;
};
/// Of at least one value.
Spread spread_of(std::vector<double> values);

/// Seconds of one call of each of `works`, measured in turn in `rounds` rounds that take
/// `seconds_a_round` each (at least one call); one call of each comes before. [work][round].
Result<std::vector<std::vector<double>>> measure_in_turn(
    const std::vector<std::function<Status()>>& works, int rounds, double seconds_a_round);

struct MemoryRates {
  Spread read, copy;  ///< bytes/s; a copy's bytes count twice
};

/// What the device's memory alone gives, over `bytes` that are read, and copied elsewhere.
Result<MemoryRates> measure_memory(cuda::Gpu& gpu, const BenchKernels& kernels, uint64_t bytes,
                                   int rounds, double seconds_a_round);

}  // namespace mokume::bench
