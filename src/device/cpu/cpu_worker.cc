#include "device/cpu/cpu_worker.h"

#include <future>

#include "device/cpu/thread_pool.h"

namespace mokume {
namespace {

// More steps than any engine keeps in flight.
constexpr size_t kMaxQueued = 1024;

}  // namespace

CpuWorker::CpuWorker(ThreadPool& pool) : queue_(kMaxQueued) {
  thread_ = std::thread([this, &pool] {
    pool.pin_caller();
    while (auto task = queue_.pop()) (*task)();
  });
}

CpuWorker::~CpuWorker() {
  queue_.close();
  thread_.join();
}

void CpuWorker::run(const std::function<void()>& task) {
  std::promise<void> done;
  while (!submit([&] {
    task();
    done.set_value();
  })) {
    std::this_thread::yield();
  }
  done.get_future().wait();
}

}  // namespace mokume
