// Which tokens of which sequences make up the next step.
//
// Non-goals: threads, clocks, devices, sampling. The same calls in the same order give the same
// batches.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "kvcache/page_pool.h"
#include "scheduler/batch.h"
#include "scheduler/sequence.h"

namespace mokume {

/// All positive.
struct SchedulerOptions {
  int max_sequences = 64;          ///< running at once
  int prefill_chunk_tokens = 256;  ///< tokens of one batch, decodes included
  int kv_pages = 0;
  int page_tokens = 16;
  int context_length = 0;  ///< most tokens of one sequence
  int stages = 1;          ///< batches in flight at once
};

/// Continuous batching. Sequences are admitted in order of arrival, and get pages in that order as
/// their positions are reached. When the pool is empty, the latest one that is not in flight gives
/// its pages up and is computed again later from prompt and generated tokens, so the oldest always
/// goes on.
///
/// Every batch has its part of the decodes, 1/stages of them so that the stages work at the same
/// time, and then pieces of prompts. Prompts share what the decodes leave of prefill_chunk_tokens,
/// but at least an eighth of it: each gets half of the rest, the last one all, so that a long
/// prompt holds up neither streams nor short prompts.
class Scheduler {
 public:
  explicit Scheduler(const SchedulerOptions& options);

  /// Most tokens, prompt and generated together, of a sequence: the context, or all pages where
  /// they are fewer.
  int max_positions() const { return max_positions_; }

  /// `prompt` has 1 .. max_positions() tokens.
  SequenceId add(std::vector<TokenId> prompt);
  /// Forgets a sequence. Its pages are free at once or, while it is in flight, when its last batch
  /// comes back. Unknown ids are ignored.
  void remove(SequenceId id);
  /// The next batch; empty when `stages` batches are under way or nothing can be stepped now.
  std::optional<Batch> next();
  /// A batch from next() has come back with one token for each of its logit rows. A sequence that
  /// reaches max_positions() must be removed before the next call of next(). Tokens of removed
  /// sequences are ignored.
  void commit(const Batch& batch, std::span<const TokenId> tokens);
  /// A batch from next() has failed: every sequence in it is removed.
  void discard(const Batch& batch);

  /// Null once removed. Valid until the next call that is not const.
  const Sequence* find(SequenceId id) const;
  int waiting() const { return static_cast<int>(waiting_.size()); }
  int running() const { return static_cast<int>(running_.size()); }
  int in_flight() const { return in_flight_; }
  uint64_t preemptions() const { return preemptions_; }
  const PagePool& pool() const { return pool_; }

  /// Internal error when the books do not agree. For tests.
  Status check() const;

 private:
  using Owned = std::unique_ptr<Sequence>;
  struct Budget;

  void admit();
  int spare_pages() const;
  int pages_for(int positions) const;
  Budget make_budget() const;
  static int wanted_tokens(const Sequence& sequence, Budget& budget);
  int reserve(size_t index, int count);
  bool preempt_after(size_t index);
  void give_slot_back(Sequence& sequence);
  static void append(Batch& batch, Sequence& sequence, int count);
  void come_back(const BatchSlice& slice);

  const SchedulerOptions options_;
  const int max_positions_;
  PagePool pool_;
  std::vector<int> free_slots_;                      // of recurrent states
  std::unordered_map<SequenceId, Sequence*> by_id_;  // waiting and running
  std::deque<Owned> waiting_;                        // by id; holds no pages
  std::vector<Owned> running_;                       // by id
  std::vector<Owned> leaving_;                       // removed, but still in flight
  SequenceId next_id_ = 1;
  int in_flight_ = 0;
  uint64_t preemptions_ = 0;
};

}  // namespace mokume
