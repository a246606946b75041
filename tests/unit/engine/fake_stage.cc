#include "fake_stage.h"

#include <algorithm>

namespace mokume::fake {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53u;
  return x ^ (x >> 29);
}

uint64_t extend(uint64_t hash, int position, uint64_t value) {
  return mix(mix(hash, position), value);
}

void write_logits(uint64_t hash, std::span<float> logits) {
  for (size_t id = 0; id < logits.size(); ++id) {
    logits[id] = static_cast<float>(mix(hash, id) % 10007) / 1000.0f - 5.0f;
  }
}

}  // namespace

FakeStage::FakeStage(Options options)
    : options_(std::move(options)),
      memory_(static_cast<size_t>(options_.pages) * options_.page_tokens),
      thread_([this] { work(); }) {}

FakeStage::~FakeStage() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_one();
  thread_.join();
}

void FakeStage::enqueue(const StageStep& step, std::function<void(Status)> done) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back({step, std::move(done)});
  arrived_.notify_one();
}

void FakeStage::work() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    const auto start = std::chrono::steady_clock::now();
    if (options_.step_time.count() > 0) std::this_thread::sleep_for(options_.step_time);
    const Status status = run(job.step);
    busy_ = busy_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    job.done(status);
  }
}

Status FakeStage::run(const StageStep& step) {
  const int number = steps_++;
  if (options_.fail) {
    const Status status = options_.fail(number);
    if (!status.ok()) return status;
  }
  const size_t tokens = step.token_ids.size();
  if (tokens > static_cast<size_t>(options_.max_tokens) ||
      step.logit_rows.size() > static_cast<size_t>(options_.max_rows)) {
    return absl::InternalError("the step is larger than the stage was made for");
  }
  hashes_.assign(tokens, 0);
  for (const SequenceSlice& slice : step.sequences) run_slice(step, slice);
  for (size_t token = 0; token < tokens && !options_.last; ++token) {
    for (int i = 0; i < kHidden; ++i) {
      step.hidden_out[token * kHidden + i] =
          static_cast<float>((hashes_[token] >> (16 * i)) & 0xffff);
    }
  }
  for (size_t row = 0; row < step.logit_rows.size() && options_.last; ++row) {
    float* logits = step.logits_out + row * options_.vocab;
    write_logits(hashes_[step.logit_rows[row]], std::span(logits, options_.vocab));
    if (options_.edit) options_.edit(logits, static_cast<int>(row));
  }
  return {};
}

void FakeStage::run_slice(const StageStep& step, const SequenceSlice& slice) {
  const auto place = [&](int position) -> uint64_t& {
    return memory_.at(static_cast<size_t>(slice.pages[position / options_.page_tokens]) *
                          options_.page_tokens +
                      position % options_.page_tokens);
  };
  uint64_t hash = 0;
  for (int position = 0; position < slice.first_position; ++position) {
    hash = extend(hash, position, place(position));
  }
  // What the pages say and what the slot's state says must be the same story.
  uint64_t& state = states_[slice.state_slot];
  if (slice.first_position > 0 && state != hash) hash = ~hash;
  for (int i = 0; i < slice.token_count; ++i) {
    const int position = slice.first_position + i;
    place(position) = input(step, slice.first_token + i);
    hash = extend(hash, position, place(position));
    hashes_[slice.first_token + i] = hash;
  }
  state = hash;
}

uint64_t FakeStage::input(const StageStep& step, int token) const {
  if (options_.first) return static_cast<uint64_t>(step.token_ids[token]);
  uint64_t value = 0;
  for (int i = 0; i < kHidden; ++i) {
    value |= static_cast<uint64_t>(step.hidden_in[token * kHidden + i]) << (16 * i);
  }
  return value;
}

std::vector<float> expected_logits(const std::vector<TokenId>& tokens, int stages, int vocab) {
  std::vector<uint64_t> values(tokens.begin(), tokens.end());
  for (int stage = 0; stage < stages; ++stage) {
    uint64_t hash = 0;
    for (size_t position = 0; position < values.size(); ++position) {
      hash = extend(hash, static_cast<int>(position), values[position]);
      values[position] = hash;
    }
  }
  std::vector<float> logits(vocab);
  write_logits(values.back(), logits);
  return logits;
}

}  // namespace mokume::fake
