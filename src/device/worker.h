// The thread that runs a device's steps, one after another.
#pragma once

#include <functional>
#include <thread>

#include "base/bounded_queue.h"

namespace mokume {

class DeviceWorker {
 public:
  /// The thread calls `begin`, where there is one, before anything else.
  explicit DeviceWorker(std::function<void()> begin = {});
  ~DeviceWorker();  ///< runs what is queued first

  /// False when the queue is full.
  bool submit(std::function<void()> task) { return queue_.try_push(std::move(task)); }
  /// Runs `task` on the worker and waits for it.
  void run(const std::function<void()>& task);

 private:
  BoundedQueue<std::function<void()>> queue_;
  std::thread thread_;
};

}  // namespace mokume
