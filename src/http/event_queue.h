// The bounded queue between the engine's thread and a connection's coroutine.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include "api/types.h"

namespace mokume {

/// Thread-safe. A reader that lets it overflow loses the call: push returns false from then on.
class EventQueue final : public EventSink {
 public:
  struct Limits {
    size_t events = 4096;
    size_t bytes = 1u << 20;  ///< of texts, ids and logprobs
  };

  /// `wake` tells the reader that drain() has something, or that the queue has overflowed. It is
  /// called under the queue's lock, on the thread that pushes, so it may only post.
  EventQueue(Limits limits, std::function<void()> wake) : limits_(limits), wake_(std::move(wake)) {}

  bool push(TextEvent event) override;
  /// All that waits, in order.
  std::vector<TextEvent> drain();
  bool overflowed() const;
  /// The reader goes: push returns false from now on, and `wake` is never called again once this
  /// has returned.
  void close();

 private:
  const Limits limits_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<TextEvent> events_;
  size_t bytes_ = 0;
  bool overflowed_ = false;
  bool closed_ = false;
};

}  // namespace mokume
