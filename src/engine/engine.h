// The engine: one thread that owns every sequence and steps the pipeline of stages.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/device.h"
#include "scheduler/request.h"

namespace mokume {

struct TokenLogprob {
  TokenId id = 0;
  float logprob =
      0;  ///< natural log, of the model's own distribution (before temperature and penalties)
};

/// One generated token.
struct TokenEvent {
  TokenId id = 0;
  bool is_stop = false;           ///< one of stop_ids: not part of the answer
  TokenLogprob chosen;            ///< where logprobs were asked for
  std::vector<TokenLogprob> top;  ///< most likely first
};

enum class FinishReason { kStop, kLength, kCancelled, kDeadline, kError };

struct FinishEvent {
  FinishReason reason = FinishReason::kStop;
  Status status;  ///< why, for kError, kDeadline and kCancelled
  int prompt_tokens = 0;
  int generated_tokens = 0;  ///< stop id included
};

/// Receives one request's events, on the engine's thread: must return at once. It may submit and
/// cancel, but not drain. A sink that throws is cancelled.
class TokenSink {
 public:
  enum class Verdict { kContinue, kStop, kCancel };
  virtual ~TokenSink() = default;
  /// kStop ends the answer here (a stop string was found), kCancel gives it up (the client has gone
  /// or does not keep up).
  virtual Verdict on_token(const TokenEvent& event) = 0;
  /// Exactly once for every accepted request, last.
  virtual void on_finish(const FinishEvent& event) = 0;
};

struct EngineOptions {
  int max_sequences = 64;          ///< running at once
  int max_queue = 256;             ///< accepted and waiting
  int prefill_chunk_tokens = 256;  ///< tokens of one step, decodes included
  int kv_pages = 0;
  int page_tokens = 16;
  int context_length = 0;  ///< most positions of one sequence
  int vocab_size = 0;
  int hidden_size = 0;
};

/// A snapshot for /metrics and tests.
struct EngineStats {
  int queued = 0;  ///< not running now, preempted ones included
  int running = 0;
  int kv_pages_used = 0;
  int kv_pages_total = 0;
  uint64_t prompt_tokens = 0;  ///< since start
  uint64_t generated_tokens = 0;
  uint64_t requests_finished = 0;   ///< kStop and kLength
  uint64_t requests_cancelled = 0;  ///< kCancelled and kDeadline
  uint64_t requests_failed = 0;
  uint64_t preemptions = 0;
  uint64_t steps = 0;
  std::vector<std::string> stage_names;  ///< "0:cpu0"
  std::vector<double> stage_busy_seconds;
};

/// Called on the engine's thread as things happen; feeds the histograms of /metrics.
struct EngineObserver {
  std::function<void(double seconds)> time_to_first_token;
  std::function<void(double seconds)> time_between_tokens;
};

/// Thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;  ///< cancels what is left and joins the thread

  /// `stages` in order; the first has the embedding, the last the head. Each was made with
  /// max_tokens >= prefill_chunk_tokens + max_sequences and max_logit_rows >= max_sequences.
  static Result<std::unique_ptr<Engine>> create(EngineOptions options,
                                                std::vector<std::unique_ptr<Stage>> stages,
                                                std::vector<std::string> stage_names,
                                                EngineObserver observer = {});

  /// ResourceExhausted when max_sequences + max_queue requests are accepted and not finished,
  /// Unavailable while draining, InvalidArgument when the prompt can never fit, a field is out of
  /// its bounds, or the id is that of a request that is not finished. The sink's on_finish follows
  /// in every case but these.
  virtual Status submit(Request request, std::shared_ptr<TokenSink> sink) = 0;
  /// The request's pages are free within one step. Unknown ids are ignored.
  virtual void cancel(RequestId id) = 0;
  /// Accepts nothing more and waits until all is finished; after `limit`, the rest is cancelled.
  virtual void drain(std::chrono::milliseconds limit) = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace mokume
