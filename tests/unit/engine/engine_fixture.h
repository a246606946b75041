// An engine over fake stages, and sinks that write down what they are told.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "fake_stage.h"

namespace mokume::fake {

using namespace std::chrono_literals;

class RecordingSink final : public TokenSink {
 public:
  using Decide = std::function<Verdict(const TokenEvent&, int index)>;
  explicit RecordingSink(Decide decide = {}) : decide_(std::move(decide)) {}

  Verdict on_token(const TokenEvent& event) override;
  void on_finish(const FinishEvent& event) override;

  /// Waits for on_finish; fails the test when it does not come.
  FinishEvent wait();
  bool wait_for_tokens(size_t count);
  std::vector<TokenId> tokens() const;
  std::vector<TokenEvent> events() const;
  int finishes() const;

 private:
  const Decide decide_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<TokenEvent> events_;
  std::vector<FinishEvent> finishes_;
};

struct EngineSetup {
  int stages = 1;
  EngineOptions engine{.max_sequences = 64,
                       .max_queue = 256,
                       .prefill_chunk_tokens = 64,
                       .kv_pages = 512,
                       .page_tokens = 4,
                       .context_length = 256,
                       .vocab_size = 50,
                       .hidden_size = kHidden};
  std::chrono::microseconds step_time{0};
  std::function<Status(int stage, int step)> fail;
  std::function<void(float* logits, int row)> edit;
  EngineObserver observer;
};

std::unique_ptr<Engine> make_engine(const EngineSetup& setup);

/// `prompt` random ids drawn from `id`, greedy unless changed.
Request make_request(RequestId id, int prompt, int max_tokens);

/// What the request must give, computed without an engine: argmax of expected_logits().
std::vector<TokenId> greedy_answer(const Request& request, int stages, int vocab = 50);

/// Waits until no page is used and nothing runs or waits.
::testing::AssertionResult comes_to_rest(const Engine& engine);

}  // namespace mokume::fake
