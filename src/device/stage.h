// A stage: layers [a, b) of a model on one device, with its own KV pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"

namespace mokume {

/// One sequence's part of a step: tokens [first_token, first_token + token_count) of the step are
/// its positions first_position, first_position + 1, ... Page pages[i] holds positions
/// [i*page_tokens, (i+1)*page_tokens).
struct SequenceSlice {
  int32_t first_token = 0;
  int32_t token_count = 0;
  int32_t first_position = 0;
  std::span<const int32_t> pages;
  int32_t state_slot = 0;  ///< its recurrent states, of a model that has such; zeroed at position 0
};

/// One step of one stage, as plain arrays. Everything stays valid until `done` is called.
struct StageStep {
  std::span<const int32_t> token_ids;        ///< [T], read by a stage with the embedding
  std::span<const SequenceSlice> sequences;  ///< disjoint, in order, covering all T tokens
  std::span<const int32_t> logit_rows;       ///< tokens whose logits are wanted
  const float* hidden_in = nullptr;          ///< [T, hidden], for a stage without the embedding
  float* hidden_out = nullptr;               ///< [T, hidden], for a stage without the head
  float* logits_out = nullptr;               ///< [logit_rows, vocab], for a stage with the head
};

/// Steps run in the order they were enqueued. Allocates nothing that grows with the work after it
/// is made.
class Stage {
 public:
  virtual ~Stage() = default;  ///< waits for what is enqueued
  /// Asynchronous: `done` is called once, on the device's worker thread, and must not block. Never
  /// throws.
  virtual void enqueue(const StageStep& step, std::function<void(Status)> done) = 0;
  /// Bytes of one sequence's recurrent states; 0 for a stage that has none.
  virtual uint64_t state_bytes() const = 0;
  /// Copies the states of `slot` out or back in, between two steps: waits for what is enqueued.
  /// `bytes` holds state_bytes(). A sequence goes on from a copy as if it had never left, if the
  /// positions that follow are stepped with the same pages.
  virtual Status save_state(int slot, std::span<std::byte> bytes) = 0;
  virtual Status load_state(int slot, std::span<const std::byte> bytes) = 0;
  /// Seconds this stage has spent stepping since it was made.
  virtual double busy_seconds() const = 0;
  /// Bytes of weights, KV and states that the stage holds.
  virtual uint64_t memory_bytes() const = 0;
};

}  // namespace mokume
