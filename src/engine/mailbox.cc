#include "engine/mailbox.h"

#include <utility>

namespace mokume {

// Notifications are sent while the lock is held: once the lock is free the engine may finish and be
// destroyed, and this object with it.

Status Mailbox::submit(Request request, std::shared_ptr<TokenSink> sink) {
  const std::lock_guard lock(mutex_);
  if (closed_)
    return unavailable("engine", "no requests are accepted any more: the server is shutting down");
  if (live_.size() >= max_live_) {
    return resource_exhausted("engine", "the queue is full: ", max_live_,
                              " requests are running or waiting");
  }
  if (!live_.emplace(request.id, false).second) {
    return invalid_argument("engine", "request id ", request.id, " is in use");
  }
  ++unfinished_;
  inputs_.submissions.push_back({std::move(request), std::move(sink), Clock::now()});
  arrived_.notify_one();
  return {};
}

void Mailbox::cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(id);
  if (found == live_.end() || found->second) return;
  found->second = true;
  inputs_.cancels.push_back(id);
  arrived_.notify_one();
}

void Mailbox::post(StepResult result) {
  const std::lock_guard lock(mutex_);
  inputs_.results.push_back(std::move(result));
  arrived_.notify_one();
}

void Mailbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void Mailbox::cancel_all() {
  const std::lock_guard lock(mutex_);
  inputs_.cancel_all = true;
  arrived_.notify_one();
}

void Mailbox::stop() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  inputs_.stop = true;
  arrived_.notify_one();
}

bool Mailbox::wait_finished(Clock::time_point limit) {
  std::unique_lock lock(mutex_);
  return finished_.wait_until(lock, limit, [&] { return unfinished_ == 0; });
}

void Mailbox::wait_finished() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return unfinished_ == 0; });
}

int Mailbox::pending() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(inputs_.submissions.size());
}

bool Mailbox::has_input() const {
  return !inputs_.submissions.empty() || !inputs_.cancels.empty() || !inputs_.results.empty() ||
         inputs_.cancel_all || inputs_.stop;
}

Inputs Mailbox::take(std::optional<Clock::time_point> limit) {
  std::unique_lock lock(mutex_);
  if (limit) {
    arrived_.wait_until(lock, *limit, [&] { return has_input(); });
  } else {
    arrived_.wait(lock, [&] { return has_input(); });
  }
  return std::exchange(inputs_, {});
}

void Mailbox::forget(RequestId id) {
  const std::lock_guard lock(mutex_);
  live_.erase(id);
}

void Mailbox::delivered() {
  const std::lock_guard lock(mutex_);
  if (--unfinished_ == 0) finished_.notify_all();
}

}  // namespace mokume
