// Threads that share one piece of work at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace mokume {

/// run() cuts [0, items) into chunks; each thread works through its own share from the front and
/// then takes from the tail of the others', so that a thread which the system put to sleep holds up
/// one chunk at most. Waiting threads spin for a moment, then sleep. The thread that calls run() is
/// one of the workers; only one thread may call it at a time.
class ThreadPool {
 public:
  /// `cores` to pin to, thread i to cores[i % size]; empty: no pinning. The calling thread is
  /// thread 0 and has to pin itself with pin_caller().
  ThreadPool(int threads, std::vector<int> cores);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(shares_.size()); }
  void pin_caller() const;

  /// Calls body(begin, end) for chunks of at most `grain` items that together are [0, items), on
  /// several threads at once; returns when all have returned. `body` must not throw.
  template <typename Body>
  void run(int items, int grain, const Body& body) {
    if (items <= 0) return;
    if (items <= grain || threads() == 1) return body(0, items);
    const auto call = [](const void* context, int begin, int end) {
      (*static_cast<const Body*>(context))(begin, end);
    };
    run_region(items, grain, call, &body);
  }

 private:
  using Call = void (*)(const void* context, int begin, int end);

  /// Chunks [begin, end) that one thread still has to do, tagged with the region they belong to so
  /// that a thread that comes late cannot take work of another region: tag << 32 | begin << 16 |
  /// end.
  struct alignas(64) Share {
    std::atomic<uint64_t> word{0};
  };

  void run_region(int items, int grain, Call call, const void* context);
  void work(int self, uint32_t region);
  bool take(Share& share, uint32_t region, bool from_front, int& chunk);
  void run_chunk(Call call, const void* context, int chunk);
  void worker_loop(int self);
  uint32_t wait_for_region(uint32_t last);

  std::vector<Share> shares_;
  std::vector<int> cores_;
  std::atomic<uint32_t> region_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stopping_{false};
  // Of the current region; written before region_ is raised.
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> context_{nullptr};
  std::atomic<int> items_{0};
  std::atomic<int> grain_{1};
  alignas(64) std::atomic<int> chunks_left_{0};
  std::vector<std::jthread> workers_;
};

}  // namespace mokume
