#include "engine/pipeline.h"

#include <new>

#include "base/checked.h"

namespace mokume {
namespace {

std::unique_ptr<float[]> make_buffer(int rows, int columns) {
  return std::make_unique_for_overwrite<float[]>(static_cast<size_t>(rows) *
                                                 static_cast<size_t>(columns));
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::create(std::vector<std::unique_ptr<Stage>> stages,
                                                   std::vector<std::string> names,
                                                   const PipelineShape& shape, Done done) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline);
  pipeline->shape_ = shape;
  pipeline->stages_ = std::move(stages);
  pipeline->names_ = std::move(names);
  pipeline->done_ = std::move(done);
  try {
    pipeline->allocate();
  } catch (const std::bad_alloc&) {
    return resource_exhausted("engine", "no memory for ", pipeline->stages(), " batches of ",
                              shape.max_tokens, " tokens and ", shape.max_logit_rows,
                              " rows of logits");
  }
  return pipeline;
}

void Pipeline::allocate() {
  for (int i = 0; i < stages(); ++i) {
    auto slot = std::make_unique<Slot>();
    for (int k = 0; k < 2 && k < stages() - 1; ++k) {
      slot->hidden[k] = make_buffer(shape_.max_tokens, shape_.hidden_size);
    }
    slot->logits = make_buffer(shape_.max_logit_rows, shape_.vocab_size);
    slots_.push_back(std::move(slot));
    free_slots_.push_back(i);
  }
}

void Pipeline::launch(Batch batch) {
  const int index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = *slots_[index];
  slot.batch = std::move(batch);
  slot.slices.clear();
  for (const BatchSlice& slice : slot.batch.slices) {
    slot.slices.push_back({.first_token = slice.first_token,
                           .token_count = slice.token_count,
                           .first_position = slice.first_position,
                           .pages = slot.batch.pages(slice),
                           .state_slot = slice.state_slot});
  }
  enqueue(index, 0);
}

void Pipeline::enqueue(int slot_index, int stage) {
  Slot& slot = *slots_[slot_index];
  StageStep step{.token_ids = slot.batch.token_ids,
                 .sequences = slot.slices,
                 .logit_rows = slot.batch.logit_rows};
  if (stage > 0) step.hidden_in = slot.hidden[(stage - 1) % 2].get();
  if (stage + 1 < stages()) {
    step.hidden_out = slot.hidden[stage % 2].get();
  } else {
    step.logits_out = slot.logits.get();
  }
  // Small enough for std::function to hold without allocating.
  stages_[stage]->enqueue(
      step, [this, slot = static_cast<int16_t>(slot_index), stage = static_cast<int16_t>(stage)](
                Status status) { stage_done(slot, stage, status); });
}

void Pipeline::stage_done(int slot, int stage, const Status& status) {
  if (!status.ok()) {
    done_(slot, Status(status.code(), absl::StrCat("[engine] stage ", names_[stage],
                                                   " failed: ", status.message())));
  } else if (stage + 1 < stages()) {
    enqueue(slot, stage + 1);
  } else {
    done_(slot, Status());
  }
}

std::span<const float> Pipeline::logits(int slot, int row) const {
  const auto width = static_cast<size_t>(shape_.vocab_size);
  return {slots_[slot]->logits.get() + static_cast<size_t>(row) * width, width};
}

std::vector<double> Pipeline::busy_seconds() const {
  std::vector<double> seconds;
  for (const auto& stage : stages_) seconds.push_back(stage->busy_seconds());
  return seconds;
}

}  // namespace mokume
