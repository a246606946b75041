// The stages in a row, and the buffers of the batches that are on their way through them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/stage.h"
#include "scheduler/batch.h"

namespace mokume {

/// Sizes of the buffers of one batch.
struct PipelineShape {
  int max_tokens = 0;
  int max_logit_rows = 0;
  int hidden_size = 0;
  int vocab_size = 0;
};

/// A batch goes from stage to stage without waiting for the engine's thread: the worker of one
/// stage enqueues it on the next. There is a slot for as many batches as there are stages.
/// launch(), batch(), logits() and release() are for one thread.
class Pipeline {
 public:
  /// Called once for every launched batch, by a worker of a stage or from within launch(); must not
  /// block. An error names the stage that failed.
  using Done = std::function<void(int slot, Status status)>;

  /// ResourceExhausted when the buffers do not fit in memory.
  static Result<std::unique_ptr<Pipeline>> create(std::vector<std::unique_ptr<Stage>> stages,
                                                  std::vector<std::string> names,
                                                  const PipelineShape& shape, Done done);

  /// Takes a free slot; at most stages() batches may be under way.
  void launch(Batch batch);
  /// The batch in a slot, and the logits [logit_rows, vocab] that it has brought. Valid until
  /// release().
  const Batch& batch(int slot) const { return slots_[slot]->batch; }
  std::span<const float> logits(int slot, int row) const;
  void release(int slot) { free_slots_.push_back(slot); }

  int stages() const { return static_cast<int>(stages_.size()); }
  bool idle() const { return free_slots_.size() == slots_.size(); }
  const std::vector<std::string>& names() const { return names_; }
  /// Any thread.
  std::vector<double> busy_seconds() const;

 private:
  struct Slot {
    Batch batch;
    std::vector<SequenceSlice> slices;
    std::unique_ptr<float[]> hidden[2];  // [max_tokens, hidden]; stage k writes k % 2
    std::unique_ptr<float[]> logits;     // [max_logit_rows, vocab]
  };

  Pipeline() = default;
  void allocate();
  void enqueue(int slot, int stage);
  void stage_done(int slot, int stage, const Status& status);

  PipelineShape shape_;
  std::vector<std::string> names_;
  Done done_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<int> free_slots_;
  std::vector<std::unique_ptr<Stage>> stages_;  // destroyed first: their workers use what is above
};

}  // namespace mokume
