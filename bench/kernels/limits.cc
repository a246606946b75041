#include "bench/kernels/limits.h"

#include <atomic>
#include <cstring>

#include "kernels/cpu/peak.h"

namespace mokume::bench {
namespace {

using kernels::Isa;

std::atomic<uint64_t> sink;  // so that nothing is optimized away

uint64_t sum_of(const uint8_t* bytes, size_t count) {
  uint64_t sums[16] = {};
  for (size_t at = 0; at + sizeof(sums) <= count; at += sizeof(sums)) {
    uint64_t words[16];
    std::memcpy(words, bytes + at, sizeof(words));
    for (int lane = 0; lane < 16; ++lane) sums[lane] += words[lane];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

double peak(Crew& crew, const kernels::PeakLoop& loop) {
  if (!loop.run) return 0;
  const double seconds = crew.time([&](int) { loop.run(); });
  return loop.operations * crew.threads() / seconds;
}

}  // namespace

double read_seconds(Crew& crew, std::span<const uint8_t> bytes) {
  const size_t part = bytes.size() / static_cast<size_t>(crew.threads());
  return crew.time(
      [&](int thread) { sink += sum_of(bytes.data() + static_cast<size_t>(thread) * part, part); });
}

double int8_peak(Crew& crew, Isa isa) { return peak(crew, kernels::int8_peak_loop(isa)); }
double f32_peak(Crew& crew, Isa isa) { return peak(crew, kernels::f32_peak_loop(isa)); }

}  // namespace mokume::bench
