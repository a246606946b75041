#include "bench/kernels/crew.h"

#include <chrono>

namespace mokume::bench {

Crew::Crew(int threads) : threads_(threads) {
  for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { serve(i); });
}

Crew::~Crew() {
  stop_ = true;
  ++round_;
}

void Crew::serve(int index) {
  for (int seen = 0;; ++seen) {
    while (round_.load(std::memory_order_acquire) == seen) {
    }
    if (stop_) return;
    (*work_)(index);
    running_.fetch_sub(1, std::memory_order_release);
  }
}

double Crew::time(const std::function<void(int)>& work) {
  work_ = &work;
  running_ = threads_ - 1;
  const auto start = std::chrono::steady_clock::now();
  round_.fetch_add(1, std::memory_order_release);
  work(0);
  while (running_.load(std::memory_order_acquire) > 0) {
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace mokume::bench
