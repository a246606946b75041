#include "engine_fixture.h"

#include <algorithm>
#include <random>
#include <thread>

namespace mokume::fake {

TokenSink::Verdict RecordingSink::on_token(const TokenEvent& event) {
  int index = 0;
  {
    const std::lock_guard lock(mutex_);
    index = static_cast<int>(events_.size());
    events_.push_back(event);
    changed_.notify_all();
  }
  return decide_ ? decide_(event, index) : Verdict::kContinue;
}

void RecordingSink::on_finish(const FinishEvent& event) {
  const std::lock_guard lock(mutex_);
  finishes_.push_back(event);
  changed_.notify_all();
}

FinishEvent RecordingSink::wait() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, 60s, [&] { return !finishes_.empty(); })) {
    ADD_FAILURE() << "a request has not finished within a minute";
    return {.reason = FinishReason::kError, .status = absl::DeadlineExceededError("test")};
  }
  return finishes_.front();
}

bool RecordingSink::wait_for_tokens(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 60s, [&] { return events_.size() >= count; });
}

std::vector<TokenId> RecordingSink::tokens() const {
  const std::lock_guard lock(mutex_);
  std::vector<TokenId> ids;
  for (const TokenEvent& event : events_) ids.push_back(event.id);
  return ids;
}

std::vector<TokenEvent> RecordingSink::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

int RecordingSink::finishes() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(finishes_.size());
}

std::unique_ptr<Engine> make_engine(const EngineSetup& setup) {
  std::vector<std::unique_ptr<Stage>> stages;
  std::vector<std::string> names;
  for (int i = 0; i < setup.stages; ++i) {
    Options options{.first = i == 0,
                    .last = i + 1 == setup.stages,
                    .pages = setup.engine.kv_pages,
                    .page_tokens = setup.engine.page_tokens,
                    .vocab = setup.engine.vocab_size,
                    .max_tokens = setup.engine.prefill_chunk_tokens + setup.engine.max_sequences,
                    .max_rows = setup.engine.max_sequences,
                    .step_time = setup.step_time,
                    .edit = setup.edit};
    if (setup.fail) options.fail = [fail = setup.fail, i](int step) { return fail(i, step); };
    stages.push_back(std::make_unique<FakeStage>(options));
    names.push_back(std::to_string(i) + ":fake" + std::to_string(i));
  }
  auto engine = Engine::create(setup.engine, std::move(stages), std::move(names), setup.observer);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

Request make_request(RequestId id, int prompt, int max_tokens) {
  std::mt19937 random(static_cast<uint32_t>(id) * 7919u + 1);
  Request request;
  request.id = id;
  for (int i = 0; i < prompt; ++i) request.prompt.push_back(static_cast<TokenId>(random() % 50));
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  return request;
}

std::vector<TokenId> greedy_answer(const Request& request, int stages, int vocab) {
  std::vector<TokenId> tokens = request.prompt;
  for (int i = 0; i < request.max_tokens; ++i) {
    const auto logits = expected_logits(tokens, stages, vocab);
    tokens.push_back(
        static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  return {tokens.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()), tokens.end()};
}

::testing::AssertionResult comes_to_rest(const Engine& engine) {
  EngineStats stats;
  for (int i = 0; i < 10000; ++i) {
    stats = engine.stats();
    if (stats.kv_pages_used == 0 && stats.running == 0 && stats.queued == 0)
      return ::testing::AssertionSuccess();
    std::this_thread::sleep_for(1ms);
  }
  return ::testing::AssertionFailure() << stats.kv_pages_used << " pages used, " << stats.running
                                       << " running, " << stats.queued << " queued";
}

}  // namespace mokume::fake
