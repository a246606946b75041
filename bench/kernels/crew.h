// Threads that start a piece of work within a microsecond of each other, for measuring.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace mokume::bench {

class Crew {
 public:
  explicit Crew(int threads);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int threads() const { return threads_; }

  /// Runs work(0) here and work(1) to work(threads - 1) on the others at the same time; returns the
  /// seconds until all are done. Waiting threads spin, so that none has to wake.
  double time(const std::function<void(int)>& work);

 private:
  void serve(int index);

  const int threads_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<int> round_{0}, running_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::jthread> helpers_;
};

}  // namespace mokume::bench
