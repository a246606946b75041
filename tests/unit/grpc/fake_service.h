// A Service whose engine is one thread that gives every running call one event a step.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/service.h"

namespace mokume {

/// What a call answers: `events` pieces "t<k>;" with token id k, the last of which ends the call as
/// told.
struct Script {
  int events = 5;  ///< 0: endless
  FinishReason finish = FinishReason::kStop;
  Status status;
  size_t text_bytes = 0;  ///< each piece is padded to this
};

class FakeService final : public Service {
 public:
  FakeService();
  ~FakeService() override;

  void set_script(Script script);
  /// complete() and chat() return this from now on.
  void refuse(Status status);
  void set_step(std::chrono::microseconds step) { step_ = step; }

  std::optional<CompletionRequest> last_completion() const;
  std::optional<ChatRequest> last_chat() const;
  size_t live() const;
  int cancelled() const { return cancelled_; }  ///< calls on which cancel() was called
  int refused_pushes() const { return refused_pushes_; }
  /// Waits until no call runs; false after 20 s.
  bool wait_idle() const;
  /// Pushes to every sink there ever was; how many took it.
  int push_to_all_ever();

  Result<std::shared_ptr<Call>> complete(const CompletionRequest& request,
                                         std::shared_ptr<EventSink> sink) override;
  Result<std::shared_ptr<Call>> chat(const ChatRequest& request,
                                     std::shared_ptr<EventSink> sink) override;
  Result<std::vector<TokenId>> tokenize(std::string_view text, bool add_special,
                                        bool parse_special) const override;
  Result<std::string> detokenize(const std::vector<int64_t>& ids) const override;
  std::vector<ModelInfo> models() const override;
  bool ready() const override { return ready_; }
  void set_ready(bool ready) override { ready_ = ready; }
  EngineStats stats() const override { return {}; }

 private:
  struct FakeCall;
  struct Running {
    std::shared_ptr<FakeCall> call;
    std::shared_ptr<EventSink> sink;
    Script script;
    std::optional<std::chrono::steady_clock::time_point> deadline;
    int sent = 0;
  };

  Result<std::shared_ptr<Call>> submit(const GenerationOptions& options,
                                       std::shared_ptr<EventSink> sink);
  void run();
  /// False when the call has ended.
  bool step(Running& running);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Script script_;
  Status refusal_;
  std::optional<CompletionRequest> last_completion_;
  std::optional<ChatRequest> last_chat_;
  std::list<Running> arrived_;
  std::vector<std::shared_ptr<EventSink>> sinks_;
  size_t live_ = 0;
  bool stopping_ = false;
  std::atomic<bool> ready_{true};
  std::atomic<int> cancelled_{0}, refused_pushes_{0};
  std::atomic<std::chrono::microseconds> step_{std::chrono::microseconds(500)};
  std::thread thread_;
};

}  // namespace mokume
