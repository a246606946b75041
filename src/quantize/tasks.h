// Independent pieces of arithmetic on several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace mokume {

/// Calls body(i) once for every i in [0, count), on up to `threads` threads, the calling one among
/// them; returns when all have returned. `body` must not throw.
template <typename Body>
void for_each_task(int64_t count, int threads, const Body& body) {
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    for (int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) body(i);
  };
  std::vector<std::jthread> helpers;
  try {
    for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i) helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // The system gives no more threads: those that there are do the work.
  }
  work();
}

}  // namespace mokume
