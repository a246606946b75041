#include "device/worker.h"

#include <future>

namespace mokume {
namespace {

// More steps than any engine keeps in flight.
constexpr size_t kMaxQueued = 1024;

}  // namespace

DeviceWorker::DeviceWorker(std::function<void()> begin) : queue_(kMaxQueued) {
  thread_ = std::thread([this, begin = std::move(begin)] {
    if (begin) begin();
    while (auto task = queue_.pop()) (*task)();
  });
}

DeviceWorker::~DeviceWorker() {
  queue_.close();
  thread_.join();
}

void DeviceWorker::run(const std::function<void()>& task) {
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
