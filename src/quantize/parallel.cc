#include "quantize/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace mokume {
namespace {

constexpr int64_t kRowsAtOnce = 16;  // that a thread takes, so that counting them costs nothing

}  // namespace

Status for_each_row(int64_t rows, int64_t columns, int threads,
                    const std::function<Status(int64_t row, std::span<float> buffer)>& body) {
  std::atomic<int64_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  Status first_error;
  const auto work = [&] {
    std::vector<float> buffer(static_cast<size_t>(columns));
    while (!failed) {
      const int64_t begin = next.fetch_add(kRowsAtOnce);
      if (begin >= rows) return;
      for (int64_t row = begin; row < std::min(begin + kRowsAtOnce, rows) && !failed; ++row) {
        Status status = body(row, buffer);
        if (status.ok()) continue;
        const std::lock_guard lock(mutex);
        if (!failed.exchange(true)) first_error = std::move(status);
      }
    }
  };
  const int64_t useful = std::max<int64_t>((rows + kRowsAtOnce - 1) / kRowsAtOnce, 1);
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
