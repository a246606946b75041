// The connections of a server, so that it can count, close and await them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "http/session.h"

namespace mokume {

/// Thread-safe.
class SessionSet {
 public:
  /// A place for one more session; `end` gives it back.
  uint64_t begin() {
    const std::lock_guard lock(mutex_);
    sessions_[++last_];
    return last_;
  }
  void set(uint64_t place, std::weak_ptr<Session> session) {
    const std::lock_guard lock(mutex_);
    if (const auto it = sessions_.find(place); it != sessions_.end())
      it->second = std::move(session);
  }
  void end(uint64_t place) {
    // Notified under the lock: as soon as it is free, the waiter may destroy this.
    const std::lock_guard lock(mutex_);
    sessions_.erase(place);
    if (sessions_.empty()) empty_.notify_all();
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return sessions_.size();
  }
  std::vector<std::shared_ptr<Session>> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Session>> all;
    for (const auto& [place, weak] : sessions_) {
      if (auto session = weak.lock()) all.push_back(std::move(session));
    }
    return all;
  }
  /// True when no session is left within `limit`.
  bool wait_empty(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return empty_.wait_for(lock, limit, [&] { return sessions_.empty(); });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable empty_;
  std::unordered_map<uint64_t, std::weak_ptr<Session>> sessions_;
  uint64_t last_ = 0;
};

}  // namespace mokume
