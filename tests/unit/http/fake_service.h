// A Service without a model: tests push the events themselves, or have canned ones sent.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api/errors.h"
#include "api/service.h"

namespace mokume::testing {

class FakeCall final : public Call {
 public:
  FakeCall(std::shared_ptr<EventSink> sink, uint64_t request_seed)
      : seed(request_seed), sink_(std::move(sink)) {}
  void cancel() override { cancelled_ = true; }
  Usage prompt_usage() const override { return {3, 0}; }

  bool cancelled() const { return cancelled_; }
  EventSink& sink() { return *sink_; }
  /// False when `limit` passes without a cancel.
  bool wait_cancelled(std::chrono::milliseconds limit) const {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!cancelled_ && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return cancelled_;
  }

  const uint64_t seed;  ///< of the request: calls may come in another order than they were sent

 private:
  const std::shared_ptr<EventSink> sink_;
  std::atomic<bool> cancelled_ = false;
};

inline TextEvent text_event(std::string text, int choice = 0) {
  TextEvent event;
  event.choice = choice;
  event.text = std::move(text);
  event.ids = {7};
  return event;
}

inline TextEvent last_event(FinishReason reason = FinishReason::kStop, int choice = 0,
                            bool all = true) {
  TextEvent event;
  event.choice = choice;
  event.finish = reason;
  event.all_finished = all;
  event.usage = {3, 5};
  return event;
}

class FakeService final : public Service {
 public:
  Result<std::shared_ptr<Call>> complete(const CompletionRequest& request,
                                         std::shared_ptr<EventSink> sink) override {
    const std::lock_guard lock(mutex_);
    last_completion_ = request;
    return start(request.options, std::move(sink));
  }
  Result<std::shared_ptr<Call>> chat(const ChatRequest& request,
                                     std::shared_ptr<EventSink> sink) override {
    const std::lock_guard lock(mutex_);
    last_chat_ = request;
    return start(request.options, std::move(sink));
  }
  Result<std::vector<TokenId>> tokenize(std::string_view text, bool add_special,
                                        bool parse_special) const override {
    std::vector<TokenId> ids(text.begin(), text.end());
    if (add_special) ids.insert(ids.begin(), 1);
    if (parse_special) ids.push_back(2);
    return ids;
  }
  Result<std::string> detokenize(const std::vector<int64_t>& ids) const override {
    return std::string(ids.begin(), ids.end());
  }
  std::vector<ModelInfo> models() const override {
    ModelInfo info;
    info.name = "org/fake";
    info.created = 1700000000;
    info.context_length = 128;
    return {info};
  }
  bool ready() const override { return ready_; }
  void set_ready(bool ready) override { ready_ = ready; }
  EngineStats stats() const override {
    EngineStats stats;
    stats.queued = 2;
    stats.requests_cancelled = 9;
    stats.stage_names = {"0:cpu0"};
    stats.stage_busy_seconds = {1.5};
    return stats;
  }

  /// Every further call gets these events at once.
  void set_canned(std::vector<TextEvent> events) {
    const std::lock_guard lock(mutex_);
    canned_ = std::move(events);
  }
  /// Every further call is refused.
  void set_refusal(Status status) {
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(status);
  }
  /// The i-th call, once it has come; null after 5 s.
  std::shared_ptr<FakeCall> wait_call(size_t i) {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::seconds(5), [&] { return calls_.size() > i; });
    return calls_.size() > i ? calls_[i] : nullptr;
  }
  size_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_.size();
  }
  ChatRequest last_chat() const {
    const std::lock_guard lock(mutex_);
    return last_chat_;
  }
  CompletionRequest last_completion() const {
    const std::lock_guard lock(mutex_);
    return last_completion_;
  }

 private:
  Result<std::shared_ptr<Call>> start(const GenerationOptions& options,
                                      std::shared_ptr<EventSink> sink) {
    if (!refusal_.ok()) return refusal_;
    auto call = std::make_shared<FakeCall>(sink, options.seed.value_or(0));
    for (const TextEvent& event : canned_) sink->push(event);
    calls_.push_back(call);
    arrived_.notify_all();
    return call;
  }

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::shared_ptr<FakeCall>> calls_;
  std::vector<TextEvent> canned_;
  Status refusal_;
  ChatRequest last_chat_;
  CompletionRequest last_completion_;
  std::atomic<bool> ready_ = true;
};

}  // namespace mokume::testing
