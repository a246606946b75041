// A stage without a model: its logits are a function of every token and position of the sequence,
// read back through the pages it was given and carried on in the slot of its states, so that a
// wrong page table, a lost write or a wrong order gives wrong tokens.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "device/stage.h"
#include "engine/engine.h"

namespace mokume::fake {

constexpr int kHidden = 4;  // a 64-bit hash as four 16-bit floats

struct Options {
  bool first = true;
  bool last = true;
  int pages = 0;
  int page_tokens = 16;
  int vocab = 50;
  int max_tokens = 1 << 20;
  int max_rows = 1 << 20;
  std::chrono::microseconds step_time{0};
  std::function<Status(int step)> fail;              // by number of the step, from 0; may be empty
  std::function<void(float* logits, int row)> edit;  // after each row of logits; may be empty
};

class FakeStage final : public Stage {
 public:
  explicit FakeStage(Options options);
  ~FakeStage() override;
  void enqueue(const StageStep& step, std::function<void(Status)> done) override;
  uint64_t state_bytes() const override { return 0; }
  Status save_state(int, std::span<std::byte>) override { return absl::OkStatus(); }
  Status load_state(int, std::span<const std::byte>) override { return absl::OkStatus(); }
  double busy_seconds() const override { return busy_.load(); }
  uint64_t memory_bytes() const override { return memory_.size() * sizeof(uint64_t); }

 private:
  struct Job {
    StageStep step;
    std::function<void(Status)> done;
  };
  void work();
  Status run(const StageStep& step);
  void run_slice(const StageStep& step, const SequenceSlice& slice);
  uint64_t input(const StageStep& step, int token) const;

  const Options options_;
  std::vector<uint64_t> memory_;              // [pages, page_tokens]
  std::vector<uint64_t> hashes_;              // [tokens of the step]
  std::unordered_map<int, uint64_t> states_;  // hash of the sequence in a slot, so far
  int steps_ = 0;
  std::atomic<double> busy_{0};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

/// The logits that `stages` stages give for the token after `tokens`, computed without pages.
std::vector<float> expected_logits(const std::vector<TokenId>& tokens, int stages, int vocab);

}  // namespace mokume::fake
