#include "http/event_queue.h"

#include <utility>

namespace mokume {
namespace {

/// Roughly what `event` holds in memory.
size_t event_bytes(const TextEvent& event) {
  size_t bytes = event.text.size() + event.ids.size() * sizeof(TokenId);
  for (const TextLogprob& logprob : event.logprobs)
    bytes += (1 + logprob.top.size()) * sizeof(TextLogprob);
  return bytes;
}

}  // namespace

bool EventQueue::push(TextEvent event) {
  const std::lock_guard lock(mutex_);
  if (closed_ || overflowed_) return false;
  const bool was_empty = events_.empty();
  bytes_ += event_bytes(event);
  // One event always fits, whatever its size: an echoed prompt is no sign of a slow reader.
  overflowed_ = !was_empty && (events_.size() >= limits_.events || bytes_ > limits_.bytes);
  if (overflowed_) {
    events_.clear();
  } else {
    events_.push_back(std::move(event));
  }
  if (was_empty || overflowed_) wake_();
  return !overflowed_;
}

std::vector<TextEvent> EventQueue::drain() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(events_, {});
}

bool EventQueue::overflowed() const {
  const std::lock_guard lock(mutex_);
  return overflowed_;
}

void EventQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  wake_ = nullptr;
  events_.clear();
}

}  // namespace mokume
