#include "quantize/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace mokume {
namespace {

// Rows that a thread takes at a time: so many that counting them costs nothing, so few that all
// threads end at the same time.
constexpr int64_t kMostAtOnce = 16;
constexpr int64_t kTakesPerThread = 4;

}  // namespace

Status for_each_row(int64_t rows, int64_t columns, int threads,
                    const std::function<Status(int64_t row, std::span<float> buffer)>& body) {
  const int64_t at_once =
      std::clamp<int64_t>(rows / (kTakesPerThread * std::max(threads, 1)), 1, kMostAtOnce);
  std::atomic<int64_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Status first_error;
  const auto work = [&] {
    std::vector<float> buffer(static_cast<size_t>(columns));
    while (!failed) {
      const int64_t begin = next.fetch_add(at_once);
      if (begin >= rows) return;
      for (int64_t row = begin; row < std::min(begin + at_once, rows) && !failed; ++row) {
        Status status = body(row, buffer);
        if (status.ok()) continue;
        const std::lock_guard lock(mutex);
        if (!failed.exchange(true)) first_error = std::move(status);
      }
    }
  };
  const int64_t useful = std::max<int64_t>((rows + at_once - 1) / at_once, 1);
  {
    std::vector<std::jthread> helpers;
    try {
      for (int64_t i = 1; i < std::min<int64_t>(threads, useful); ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // No more threads to be had: those that are there do the work.
    }
    work();
  }
  return first_error;
}

}  // namespace mokume
