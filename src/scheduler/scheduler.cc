#include "scheduler/scheduler.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "base/checked.h"

namespace mokume {
namespace {

// Where a sequence with this id is, or belongs, in a list sorted by id.
template <typename List>
auto position_of(List& list, SequenceId id) {
  return std::lower_bound(list.begin(), list.end(), id, [](const auto& sequence, SequenceId value) {
    return sequence->id < value;
  });
}

// Moves the sequence out of a list sorted by id; null when it is not there.
template <typename List>
std::unique_ptr<Sequence> take_out(List& list, SequenceId id) {
  const auto place = position_of(list, id);
  if (place == list.end() || (*place)->id != id) return nullptr;
  std::unique_ptr<Sequence> sequence = std::move(*place);
  list.erase(place);
  return sequence;
}

}  // namespace

// What is left to give away while a batch is built.
struct Scheduler::Budget {
  int decodes = 0;
  int prompt_tokens = 0;
  int prompts = 0;  // that have not had their share yet
};

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options),
      max_positions_(static_cast<int>(std::min<int64_t>(
          options.context_length, int64_t{options.kv_pages} * options.page_tokens))),
      pool_(options.kv_pages),
      free_slots_(static_cast<size_t>(options.max_sequences)) {
  std::iota(free_slots_.rbegin(), free_slots_.rend(), 0);
}

SequenceId Scheduler::add(std::vector<TokenId> prompt) {
  const SequenceId id = next_id_++;
  waiting_.push_back(
      std::make_unique<Sequence>(id, std::move(prompt), pool_, options_.page_tokens));
  by_id_[id] = waiting_.back().get();
  return id;
}

void Scheduler::remove(SequenceId id) {
  if (by_id_.erase(id) == 0) return;
  Owned sequence = take_out(running_, id);
  if (sequence) give_slot_back(*sequence);
  if (!sequence) sequence = take_out(waiting_, id);
  if (sequence->in_flight > 0) leaving_.push_back(std::move(sequence));
}

const Sequence* Scheduler::find(SequenceId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::optional<Batch> Scheduler::next() {
  if (in_flight_ >= options_.stages) return std::nullopt;
  admit();
  Budget budget = make_budget();
  Batch batch;
  for (size_t i = 0; i < running_.size(); ++i) {  // preemption shortens running_ behind i
    const int count = reserve(i, wanted_tokens(*running_[i], budget));
    if (count > 0) append(batch, *running_[i], count);
  }
  if (batch.slices.empty()) return std::nullopt;
  ++in_flight_;
  return batch;
}

// A sequence is admitted when its pages are there, so that it is not soon preempted again.
void Scheduler::admit() {
  int spare = spare_pages();
  while (!waiting_.empty() && running() < options_.max_sequences) {
    const int needed = pages_for(std::min(waiting_.front()->token_count() + 1, max_positions_));
    if (!running_.empty() && needed > spare) return;
    spare -= needed;
    Owned sequence = std::move(waiting_.front());
    waiting_.pop_front();
    sequence->state_slot = free_slots_.back();
    free_slots_.pop_back();
    running_.insert(position_of(running_, sequence->id), std::move(sequence));
  }
}

// Free pages that no running sequence needs for the tokens that it has now.
int Scheduler::spare_pages() const {
  int spare = pool_.free();
  for (const Owned& sequence : running_) {
    spare -= std::max(0, pages_for(sequence->token_count()) - sequence->blocks.page_count());
  }
  return spare;
}

int Scheduler::pages_for(int positions) const {
  return static_cast<int>(div_up(positions, options_.page_tokens));
}

Scheduler::Budget Scheduler::make_budget() const {
  int decoding = 0;
  int ready = 0;
  Budget budget;
  for (const Owned& sequence : running_) {
    if (sequence->awaiting_token) {
      ++decoding;
    } else if (sequence->is_decode()) {
      ++decoding;
      ++ready;
    } else {
      ++budget.prompts;
    }
  }
  budget.decodes = std::min(ready, static_cast<int>(div_up(decoding, options_.stages)));
  const int least = std::max(1, options_.prefill_chunk_tokens / 8);
  budget.prompt_tokens = std::max(least, options_.prefill_chunk_tokens - budget.decodes);
  return budget;
}

int Scheduler::wanted_tokens(const Sequence& sequence, Budget& budget) {
  if (sequence.awaiting_token) return 0;
  if (sequence.is_decode()) return budget.decodes-- > 0 ? 1 : 0;
  const int rest = budget.prompt_tokens;
  const int share = --budget.prompts > 0 ? rest - rest / 2 : rest;
  const int count = std::min(share, sequence.remaining());
  budget.prompt_tokens -= count;
  return count;
}

// Takes pages for the sequence's next `count` tokens; returns for how many there are some.
int Scheduler::reserve(size_t index, int count) {
  if (count <= 0) return 0;
  Sequence& sequence = *running_[index];
  while (!sequence.blocks.grow(sequence.scheduled + count)) {
    if (preempt_after(index)) continue;
    count = sequence.blocks.capacity() + pool_.free() * options_.page_tokens - sequence.scheduled;
  }
  return count;
}

// Takes the pages of the latest sequence behind `index` that is not in flight.
bool Scheduler::preempt_after(size_t index) {
  for (size_t i = running_.size() - 1; i > index; --i) {
    if (running_[i]->in_flight > 0 || running_[i]->blocks.page_count() == 0) continue;
    Owned victim = std::move(running_[i]);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    victim->blocks.release();
    victim->scheduled = 0;
    give_slot_back(*victim);
    waiting_.insert(position_of(waiting_, victim->id), std::move(victim));
    ++preemptions_;
    return true;
  }
  return false;
}

// Stages run their steps in order, so the next owner's first step cannot overtake a last one of
// this sequence that is still in flight.
void Scheduler::give_slot_back(Sequence& sequence) {
  free_slots_.push_back(sequence.state_slot);
  sequence.state_slot = -1;
}

void Scheduler::append(Batch& batch, Sequence& sequence, int count) {
  const auto pages = sequence.blocks.pages();
  const auto first = sequence.tokens.begin() + sequence.scheduled;
  batch.slices.push_back({.sequence = sequence.id,
                          .first_token = static_cast<int32_t>(batch.token_ids.size()),
                          .token_count = count,
                          .first_position = sequence.scheduled,
                          .first_page = static_cast<int32_t>(batch.page_ids.size()),
                          .page_count = static_cast<int32_t>(pages.size()),
                          .state_slot = sequence.state_slot});
  batch.token_ids.insert(batch.token_ids.end(), first, first + count);
  batch.page_ids.insert(batch.page_ids.end(), pages.begin(), pages.end());
  sequence.scheduled += count;
  ++sequence.in_flight;
  if (sequence.remaining() > 0) return;
  sequence.awaiting_token = true;
  batch.logit_rows.push_back(static_cast<int32_t>(batch.token_ids.size()) - 1);
  batch.sampled_sequences.push_back(sequence.id);
}

void Scheduler::commit(const Batch& batch, std::span<const TokenId> tokens) {
  assert(tokens.size() == batch.logit_rows.size());
  --in_flight_;
  for (const BatchSlice& slice : batch.slices) come_back(slice);
  for (size_t row = 0; row < tokens.size(); ++row) {
    const auto found = by_id_.find(batch.sampled_sequences[row]);
    if (found == by_id_.end()) continue;
    found->second->tokens.push_back(tokens[row]);
    found->second->awaiting_token = false;
  }
}

void Scheduler::discard(const Batch& batch) {
  --in_flight_;
  for (const BatchSlice& slice : batch.slices) {
    remove(slice.sequence);
    come_back(slice);
  }
}

void Scheduler::come_back(const BatchSlice& slice) {
  const auto found = by_id_.find(slice.sequence);
  if (found != by_id_.end()) {
    --found->second->in_flight;
    return;
  }
  const auto left = std::find_if(leaving_.begin(), leaving_.end(), [&](const Owned& sequence) {
    return sequence->id == slice.sequence;
  });
  if (left != leaving_.end() && --(*left)->in_flight == 0) leaving_.erase(left);
}

Status Scheduler::check() const {
  MKM_RETURN_IF_ERROR(pool_.check());
  int pages = 0;
  const auto sorted = [](const auto& list) {
    return std::is_sorted(list.begin(), list.end(),
                          [](const auto& a, const auto& b) { return a->id < b->id; });
  };
  if (!sorted(running_) || !sorted(waiting_))
    return internal_error("scheduler", "sequences are out of order");
  if (by_id_.size() != running_.size() + waiting_.size())
    return internal_error("scheduler", "a sequence is lost");
  std::vector<bool> slots(static_cast<size_t>(options_.max_sequences));
  for (const int slot : free_slots_) slots[static_cast<size_t>(slot)] = true;
  for (const Owned& sequence : running_) {
    pages += sequence->blocks.page_count();
    if (sequence->state_slot < 0 || slots[static_cast<size_t>(sequence->state_slot)]) {
      return internal_error("scheduler", "sequence ", sequence->id, " has no slot of its own");
    }
    slots[static_cast<size_t>(sequence->state_slot)] = true;
    if (sequence->awaiting_token && sequence->in_flight == 0) {
      return internal_error("scheduler", "sequence ", sequence->id,
                            " awaits a token that no batch brings");
    }
    if (sequence->scheduled > sequence->blocks.capacity() || sequence->in_flight > in_flight_) {
      return internal_error("scheduler", "sequence ", sequence->id,
                            " is scheduled without pages or batch");
    }
  }
  for (const Owned& sequence : waiting_) {
    if (sequence->blocks.page_count() != 0 || sequence->in_flight != 0 ||
        sequence->scheduled != 0 || sequence->state_slot != -1) {
      return internal_error("scheduler", "sequence ", sequence->id,
                            " waits, but holds pages or a slot");
    }
  }
  for (const Owned& sequence : leaving_) {
    pages += sequence->blocks.page_count();
    if (sequence->in_flight == 0)
      return internal_error("scheduler", "sequence ", sequence->id, " never leaves");
  }
  if (free_slots_.size() + running_.size() != slots.size())
    return internal_error("scheduler", "a slot of states is lost");
  if (pages != pool_.used())
    return internal_error("scheduler", pool_.used(), " pages in use, ", pages, " held");
  return {};
}

}  // namespace mokume
