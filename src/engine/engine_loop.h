// The engine's thread: the one place where sequences, batches and sinks meet.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/mailbox.h"
#include "engine/pipeline.h"
#include "engine/sampler.h"
#include "scheduler/scheduler.h"

namespace mokume {

/// Takes inputs, samples what has come back, launches the next batches, reports what is finished;
/// sleeps when there is nothing to do. All but stats() is for the engine's thread.
class EngineLoop {
 public:
  /// `mailbox` and `pipeline` outlive it.
  EngineLoop(const EngineOptions& options, Mailbox& mailbox, Pipeline& pipeline,
             EngineObserver observer);

  /// Until the mailbox says stop; then everything live has been cancelled and no batch is under
  /// way.
  void run();
  /// As of the last step; without the stages' figures. Any thread.
  EngineStats stats() const;

 private:
  /// The client's side of a sequence.
  struct Stream {
    Request request;  // its prompt has gone to the scheduler
    std::shared_ptr<TokenSink> sink;
    Clock::time_point submitted;
    Clock::time_point last_token;
    TokenHistory history;
    int prompt_tokens = 0;
    int generated = 0;
  };
  struct Finished {
    RequestId id;
    std::shared_ptr<TokenSink> sink;
    FinishEvent event;
  };

  void handle(Inputs inputs);
  void accept(Submission submission);
  void cancel(RequestId id);
  void cancel_all();
  void expire_deadlines();
  std::optional<Clock::time_point> next_deadline() const;

  void complete(const StepResult& result);
  void fail_batch(int slot, const Status& status);
  TokenId sample_row(int slot, size_t row, TokenEvent& event);
  void deliver(SequenceId id, const TokenEvent& event);
  void observe_token(Stream& stream);
  static TokenSink::Verdict tell(const Stream& stream, const TokenEvent& event);

  void finish(SequenceId id, FinishReason reason, Status status);
  void count_finish(FinishReason reason);
  void report_finished();
  void publish_stats();

  Mailbox& mailbox_;
  Pipeline& pipeline_;
  const EngineObserver observer_;
  Scheduler scheduler_;
  Sampler sampler_;
  std::unordered_map<SequenceId, Stream> streams_;
  std::unordered_map<RequestId, SequenceId> by_request_;
  std::vector<TokenId> sampled_;    // of one batch, by row
  std::vector<TokenEvent> events_;  // of one batch, by row
  std::vector<Finished> finished_;  // to be reported at the end of this round
  bool stopping_ = false;

  EngineStats counts_;
  mutable std::mutex stats_mutex_;
  EngineStats published_;
};

}  // namespace mokume
