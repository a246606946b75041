// Everything that reaches the engine's thread from outside.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"

namespace mokume {

using Clock = std::chrono::steady_clock;

struct Submission {
  Request request;
  std::shared_ptr<TokenSink> sink;
  Clock::time_point submitted;
};

/// A batch has left the pipeline.
struct StepResult {
  int slot = 0;
  Status status;
};

/// What has come in since the last look. Submissions come before cancels.
struct Inputs {
  std::vector<Submission> submissions;
  std::vector<RequestId> cancels;
  std::vector<StepResult> results;
  bool cancel_all = false;
  bool stop = false;
};

/// A bounded queue of several kinds of input, and the count of what has been accepted and not
/// finished. Bounded by nature: no more submissions than requests may be live, one cancel for each,
/// one result for each slot.
///
/// Thread-safe; take(), forget() and delivered() are for the engine's thread.
class Mailbox {
 public:
  explicit Mailbox(size_t max_live) : max_live_(max_live) {}

  /// ResourceExhausted when max_live requests are live, Unavailable once closed, InvalidArgument
  /// for an id in use.
  Status submit(Request request, std::shared_ptr<TokenSink> sink);
  /// Ignored for an id that is not live.
  void cancel(RequestId id);
  void post(StepResult result);
  /// Accepts no more submissions.
  void close();
  /// Cancels everything that is live.
  void cancel_all();
  /// The engine is to cancel everything and end.
  void stop();
  /// True when every accepted request is finished and delivered before `limit`.
  bool wait_finished(Clock::time_point limit);
  void wait_finished();
  /// Submissions that the engine has not taken yet.
  int pending() const;

  /// Sleeps until there is something, or until `limit`.
  Inputs take(std::optional<Clock::time_point> limit);
  /// The id is free again, and there is room for one more.
  void forget(RequestId id);
  /// One request has had its on_finish.
  void delivered();

 private:
  bool has_input() const;

  const size_t max_live_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable finished_;
  Inputs inputs_;
  std::unordered_map<RequestId, bool> live_;  // whether a cancel is on its way
  size_t unfinished_ = 0;
  bool closed_ = false;
};

}  // namespace mokume
