// What the choices of one call share: where events go, what is still running, the usage.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "api/types.h"

namespace mokume {

/// Held by the call and by the sink of each of its choices. Thread-safe.
class CallState final : public Call {
 public:
  CallState(Engine* engine, std::shared_ptr<EventSink> sink, std::vector<RequestId> ids,
            int64_t prompt_tokens);

  void cancel() override;
  Usage prompt_usage() const override { return {prompt_tokens_, 0}; }

  bool cancelled() const { return cancelled_.load(); }
  /// Hands `event` to the reader; false, and the whole call is cancelled, when the reader does not
  /// want it.
  bool push(TextEvent event);
  /// As push, for the last event of a choice that generated `tokens`.
  void push_last(TextEvent event, int tokens);
  const std::vector<RequestId>& ids() const { return ids_; }

 private:
  Engine* const engine_;
  const std::shared_ptr<EventSink> sink_;
  const std::vector<RequestId> ids_;
  const int64_t prompt_tokens_;
  std::atomic<bool> cancelled_ = false;
  std::atomic<size_t> unfinished_;
  std::atomic<int64_t> completion_tokens_ = 0;
};

}  // namespace mokume
