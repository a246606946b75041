#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <stdexcept>
#include <thread>

#include "engine_fixture.h"

namespace mokume::fake {
namespace {

using ::testing::HasSubstr;

TEST(Engine, GivesTheTokensThatTheStagesSay) {
  for (const int stages : {1, 2, 3}) {
    auto engine = make_engine({.stages = stages});
    const Request request = make_request(1, 20, 30);
    auto sink = std::make_shared<RecordingSink>();
    ASSERT_TRUE(engine->submit(request, sink).ok());
    const FinishEvent finish = sink->wait();
    EXPECT_EQ(finish.reason, FinishReason::kLength);
    EXPECT_EQ(finish.prompt_tokens, 20);
    EXPECT_EQ(finish.generated_tokens, 30);
    EXPECT_EQ(sink->tokens(), greedy_answer(request, stages));
    EXPECT_TRUE(comes_to_rest(*engine));
  }
}

TEST(Engine, StopIdIsTheLastEvent) {
  auto engine = make_engine({});
  Request request = make_request(1, 5, 30);
  const auto answer = greedy_answer(request, 1);
  request.stop_ids = {answer[4], 49999};
  const auto first = std::find(answer.begin(), answer.end(), answer[4]) - answer.begin();
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(request, sink).ok());
  EXPECT_EQ(sink->wait().reason, FinishReason::kStop);
  const auto events = sink->events();
  ASSERT_EQ(static_cast<std::ptrdiff_t>(events.size()), first + 1);
  EXPECT_TRUE(events.back().is_stop);
  EXPECT_FALSE(events.front().is_stop && first > 0);
}

TEST(Engine, EndsAtTheContextAndAtThePool) {
  for (const int pages : {8, 512}) {
    EngineSetup setup;
    setup.engine.kv_pages = pages;  // 8 pages: 32 positions
    setup.engine.context_length = 40;
    auto engine = make_engine(setup);
    auto sink = std::make_shared<RecordingSink>();
    ASSERT_TRUE(engine->submit(make_request(1, 10, 1000), sink).ok());
    const FinishEvent finish = sink->wait();
    EXPECT_EQ(finish.reason, FinishReason::kLength);
    EXPECT_EQ(finish.prompt_tokens + finish.generated_tokens, pages == 8 ? 32 : 40);
  }
}

TEST(Engine, RefusesWhatCannotRun) {
  EngineSetup setup;
  setup.engine.context_length = 40;
  auto engine = make_engine(setup);
  auto sink = std::make_shared<RecordingSink>();
  const auto refused = [&](const std::function<void(Request&)>& spoil) {
    Request request = make_request(1, 4, 4);
    spoil(request);
    return engine->submit(request, sink).code() == absl::StatusCode::kInvalidArgument;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(refused([](Request& r) { r.prompt.clear(); }));
  EXPECT_TRUE(refused([](Request& r) { r.prompt.assign(40, 1); }));
  EXPECT_TRUE(refused([](Request& r) { r.prompt[2] = 50; }));
  EXPECT_TRUE(refused([](Request& r) { r.prompt[2] = -1; }));
  EXPECT_TRUE(refused([](Request& r) { r.max_tokens = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.temperature = -1; }));
  EXPECT_TRUE(refused([&](Request& r) { r.sampling.temperature = nan; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.top_p = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.min_p = 2; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.repetition_penalty = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampling.logit_bias = {{50, 1.0f}}; }));
  EXPECT_TRUE(refused([&](Request& r) { r.sampling.logit_bias = {{1, nan}}; }));
  EXPECT_EQ(engine->submit(make_request(1, 4, 4), nullptr).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(sink->finishes(), 0);
}

TEST(Engine, RefusesOptionsOutOfBounds) {
  const auto refused = [](const std::function<void(EngineOptions&)>& spoil) {
    EngineSetup setup;
    spoil(setup.engine);
    std::vector<std::unique_ptr<Stage>> stages;
    stages.push_back(std::make_unique<FakeStage>(Options{.pages = 1}));
    return Engine::create(setup.engine, std::move(stages), {"0:fake"}).status().code() ==
           absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refused([](EngineOptions&) {}));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.max_sequences = 0; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.max_queue = -1; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.kv_pages = 0; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.page_tokens = 0; }));
  EXPECT_TRUE(refused([](EngineOptions& o) { o.vocab_size = 2'000'000'000; }));
  EXPECT_EQ(Engine::create(EngineSetup().engine, {}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Engine, VerdictsEndARequest) {
  auto engine = make_engine({.stages = 2});
  const auto ends_with = [&](TokenSink::Verdict verdict) {
    auto sink = std::make_shared<RecordingSink>([verdict](const TokenEvent&, int index) {
      return index == 3 ? verdict : TokenSink::Verdict::kContinue;
    });
    EXPECT_TRUE(engine->submit(make_request(1, 5, 100), sink).ok());
    const FinishEvent finish = sink->wait();
    EXPECT_EQ(finish.generated_tokens, 4);
    return finish.reason;
  };
  EXPECT_EQ(ends_with(TokenSink::Verdict::kStop), FinishReason::kStop);
  EXPECT_EQ(ends_with(TokenSink::Verdict::kCancel), FinishReason::kCancelled);
  EXPECT_TRUE(comes_to_rest(*engine));
}

TEST(Engine, AThrowingSinkIsCancelledAndOthersGoOn) {
  class ThrowingSink final : public TokenSink {
   public:
    Verdict on_token(const TokenEvent&) override { throw std::runtime_error("token"); }
    void on_finish(const FinishEvent& event) override {
      reason = event.reason;
      throw 42;
    }
    std::atomic<FinishReason> reason{FinishReason::kStop};
  };
  auto engine = make_engine({});
  auto bad = std::make_shared<ThrowingSink>();
  auto good = std::make_shared<RecordingSink>();
  const Request request = make_request(2, 5, 20);
  ASSERT_TRUE(engine->submit(make_request(1, 5, 20), bad).ok());
  ASSERT_TRUE(engine->submit(request, good).ok());
  good->wait();
  EXPECT_EQ(good->tokens(), greedy_answer(request, 1));
  EXPECT_EQ(bad->reason, FinishReason::kCancelled);
}

TEST(Engine, CancelFreesPagesWithinAStep) {
  EngineSetup setup{.stages = 2, .step_time = 2ms};
  auto engine = make_engine(setup);
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(make_request(1, 100, 100), sink).ok());
  ASSERT_TRUE(sink->wait_for_tokens(2));
  EXPECT_GT(engine->stats().kv_pages_used, 0);
  engine->cancel(77);
  engine->cancel(1);
  engine->cancel(1);
  const FinishEvent finish = sink->wait();
  EXPECT_EQ(finish.reason, FinishReason::kCancelled);
  EXPECT_EQ(finish.status.code(), absl::StatusCode::kCancelled);
  const uint64_t steps = engine->stats().steps;
  EXPECT_TRUE(comes_to_rest(*engine));
  EXPECT_LE(engine->stats().steps, steps + 1);
  EXPECT_EQ(sink->finishes(), 1);
  EXPECT_EQ(engine->stats().requests_cancelled, 1u);
}

TEST(Engine, QueueFullIsRefusedAndCancelMakesRoom) {
  EngineSetup setup{.step_time = 1ms};
  setup.engine.max_sequences = 1;
  setup.engine.max_queue = 2;
  auto engine = make_engine(setup);
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (RequestId id = 1; id <= 3; ++id) {
    sinks.push_back(std::make_shared<RecordingSink>());
    ASSERT_TRUE(engine->submit(make_request(id, 5, 200), sinks.back()).ok());
  }
  auto late = std::make_shared<RecordingSink>();
  EXPECT_EQ(engine->submit(make_request(4, 5, 5), late).code(),
            absl::StatusCode::kResourceExhausted);
  engine->cancel(3);  // waits in the queue
  EXPECT_EQ(sinks[2]->wait().reason, FinishReason::kCancelled);
  EXPECT_EQ(engine->submit(make_request(2, 5, 5), late).code(), absl::StatusCode::kInvalidArgument)
      << "id in use";
  EXPECT_TRUE(engine->submit(make_request(4, 5, 5), late).ok());
  engine->cancel(1);
  engine->cancel(2);
  EXPECT_EQ(late->wait().reason, FinishReason::kLength);
}

TEST(Engine, DeadlineEndsARunningAndAWaitingRequest) {
  EngineSetup setup{.step_time = 1ms};
  setup.engine.max_sequences = 1;
  auto engine = make_engine(setup);
  auto running = std::make_shared<RecordingSink>();
  auto waiting = std::make_shared<RecordingSink>();
  auto idle = std::make_shared<RecordingSink>();
  Request request = make_request(1, 5, 240);
  request.deadline = std::chrono::steady_clock::now() + 50ms;
  ASSERT_TRUE(engine->submit(request, running).ok());
  request.id = 2;
  request.deadline = std::chrono::steady_clock::now() + 20ms;
  ASSERT_TRUE(engine->submit(request, waiting).ok());
  const FinishEvent finish = waiting->wait();
  EXPECT_EQ(finish.reason, FinishReason::kDeadline);
  EXPECT_EQ(finish.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(finish.generated_tokens, 0);
  EXPECT_EQ(running->wait().reason, FinishReason::kDeadline);
  request.id = 3;
  request.deadline = std::chrono::steady_clock::now() - 1s;
  ASSERT_TRUE(engine->submit(request, idle).ok());
  EXPECT_EQ(idle->wait().reason, FinishReason::kDeadline);
  EXPECT_TRUE(comes_to_rest(*engine));
}

TEST(Engine, DrainWaitsForWhatRuns) {
  auto engine = make_engine({.stages = 2, .step_time = 1ms});
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(make_request(1, 5, 20), sink).ok());
  engine->drain(60s);
  EXPECT_EQ(sink->finishes(), 1);
  EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
  EXPECT_EQ(engine->submit(make_request(2, 5, 20), sink).code(), absl::StatusCode::kUnavailable);
}

TEST(Engine, DrainCancelsTheRestAtItsLimit) {
  EngineSetup setup{.step_time = 5ms};
  setup.engine.max_sequences = 1;
  auto engine = make_engine(setup);
  auto running = std::make_shared<RecordingSink>();
  auto waiting = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(make_request(1, 5, 240), running).ok());
  ASSERT_TRUE(engine->submit(make_request(2, 5, 240), waiting).ok());
  engine->drain(20ms);
  EXPECT_EQ(running->finishes(), 1);
  EXPECT_EQ(waiting->finishes(), 1);
  EXPECT_EQ(running->wait().reason, FinishReason::kCancelled);
  engine->drain(std::chrono::milliseconds::max());
}

TEST(Engine, DestructorFinishesEveryRequestOnce) {
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  {
    EngineSetup setup{.stages = 3, .step_time = 1ms};
    setup.engine.max_sequences = 4;
    auto engine = make_engine(setup);
    for (RequestId id = 1; id <= 20; ++id) {
      sinks.push_back(std::make_shared<RecordingSink>());
      ASSERT_TRUE(engine->submit(make_request(id, 30, 100), sinks.back()).ok());
    }
    ASSERT_TRUE(sinks[0]->wait_for_tokens(3));
  }
  for (const auto& sink : sinks) {
    EXPECT_EQ(sink->finishes(), 1);
    EXPECT_EQ(sink->wait().reason, FinishReason::kCancelled);
  }
}

TEST(Engine, ASinkMaySubmitAndCancel) {
  auto engine = make_engine({});
  auto second = std::make_shared<RecordingSink>();
  std::atomic<bool> second_accepted = false;
  auto first = std::make_shared<RecordingSink>([&](const TokenEvent&, int index) {
    if (index == 0) second_accepted = engine->submit(make_request(2, 3, 3), second).ok();
    if (index == 1) engine->cancel(1);
    return TokenSink::Verdict::kContinue;
  });
  ASSERT_TRUE(engine->submit(make_request(1, 5, 200), first).ok());
  EXPECT_EQ(first->wait().reason, FinishReason::kCancelled);
  EXPECT_TRUE(second_accepted);
  EXPECT_EQ(second->wait().reason, FinishReason::kLength);
}

TEST(Engine, AFailedStepEndsItsSequencesAndNamesTheStage) {
  for (const int stages : {1, 2, 3}) {
    for (const int step : {0, 1, 2, 5, 9}) {
      EngineSetup setup{.stages = stages};
      setup.engine.prefill_chunk_tokens = 8;
      setup.fail = [=](int stage, int number) {
        return stage == stages - 1 && number == step ? absl::InternalError("the device is gone")
                                                     : Status();
      };
      auto engine = make_engine(setup);
      std::vector<std::shared_ptr<RecordingSink>> sinks;
      int failed = 0;
      for (RequestId id = 1; id <= 6; ++id) {
        sinks.push_back(std::make_shared<RecordingSink>());
        ASSERT_TRUE(engine->submit(make_request(id, 10, 10), sinks.back()).ok());
      }
      for (RequestId id = 1; id <= 6; ++id) {
        const FinishEvent finish = sinks[id - 1]->wait();
        if (finish.reason == FinishReason::kError) {
          ++failed;
          const std::string name =
              std::to_string(stages - 1) + ":fake" + std::to_string(stages - 1);
          EXPECT_THAT(std::string(finish.status.message()), HasSubstr(name));
          EXPECT_THAT(std::string(finish.status.message()), HasSubstr("the device is gone"));
        } else {
          EXPECT_EQ(sinks[id - 1]->tokens(), greedy_answer(make_request(id, 10, 10), stages));
        }
      }
      EXPECT_GT(failed, 0);
      EXPECT_EQ(engine->stats().requests_failed, static_cast<uint64_t>(failed));
      EXPECT_TRUE(comes_to_rest(*engine));
      const Request request = make_request(99, 10, 10);
      auto after = std::make_shared<RecordingSink>();
      ASSERT_TRUE(engine->submit(request, after).ok());
      after->wait();
      EXPECT_EQ(after->tokens(), greedy_answer(request, stages));
    }
  }
}

TEST(Engine, LogitsWithoutAnyNumberEndThatSequenceAlone) {
  EngineSetup setup;
  setup.edit = [](float* logits, int row) {
    if (row == 1) std::fill(logits, logits + 50, -std::numeric_limits<float>::infinity());
    if (row == 0) logits[0] = std::numeric_limits<float>::quiet_NaN();
  };
  auto engine = make_engine(setup);
  // Both prompts are in one batch: the second waits for the first's sink to hold the engine.
  auto blocker = std::make_shared<RecordingSink>([](const TokenEvent&, int) {
    std::this_thread::sleep_for(100ms);
    return TokenSink::Verdict::kStop;
  });
  ASSERT_TRUE(engine->submit(make_request(1, 3, 9), blocker).ok());
  ASSERT_TRUE(blocker->wait_for_tokens(1));
  auto good = std::make_shared<RecordingSink>();
  auto bad = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(make_request(2, 3, 9), good).ok());
  ASSERT_TRUE(engine->submit(make_request(3, 3, 9), bad).ok());
  EXPECT_EQ(bad->wait().reason, FinishReason::kError);
  EXPECT_EQ(good->wait().reason, FinishReason::kLength);
  EXPECT_TRUE(comes_to_rest(*engine));
}

TEST(Engine, LogprobsComeWithTheTokens) {
  auto engine = make_engine({});
  Request request = make_request(1, 5, 4);
  request.top_logprobs = 3;
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(request, sink).ok());
  sink->wait();
  for (const TokenEvent& event : sink->events()) {
    ASSERT_EQ(event.top.size(), 3u);
    EXPECT_EQ(event.top[0].id, event.id);
    EXPECT_EQ(event.top[0].logprob, event.chosen.logprob);
    EXPECT_GE(event.top[1].logprob, event.top[2].logprob);
  }
}

TEST(Engine, TwoStagesWorkAtTheSameTime) {
  constexpr auto kStep = 4ms;
  EngineSetup setup{.stages = 2, .step_time = kStep};
  auto engine = make_engine(setup);
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  const auto start = std::chrono::steady_clock::now();
  for (RequestId id = 1; id <= 2; ++id) {
    sinks.push_back(std::make_shared<RecordingSink>());
    ASSERT_TRUE(engine->submit(make_request(id, 5, 50), sinks.back()).ok());
  }
  for (const auto& sink : sinks) sink->wait();
  const auto elapsed = std::chrono::steady_clock::now() - start;
  const EngineStats stats = engine->stats();
  const double busy = stats.stage_busy_seconds[0] + stats.stage_busy_seconds[1];
  // 50 tokens each: one after the other takes the sum of both stages' times, side by side half of
  // it.
  EXPECT_LT(std::chrono::duration<double>(elapsed).count(), 0.75 * busy);
  EXPECT_GE(stats.steps, 99u) << "each stream has batches of its own";
}

TEST(Engine, SleepsWhenThereIsNothingToDo) {
  auto engine = make_engine({.stages = 2});
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(engine->submit(make_request(1, 5, 5), sink).ok());
  sink->wait();
  std::this_thread::sleep_for(20ms);
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(300ms);
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.05);
}

TEST(Engine, CountsAndObserves) {
  std::atomic<int> first{0};
  std::atomic<int> between{0};
  EngineSetup setup{.stages = 2};
  setup.observer = {.time_to_first_token = [&](double seconds) { first += seconds >= 0; },
                    .time_between_tokens = [&](double seconds) { between += seconds >= 0; }};
  auto engine = make_engine(setup);
  for (RequestId id = 1; id <= 3; ++id) {
    auto sink = std::make_shared<RecordingSink>();
    ASSERT_TRUE(engine->submit(make_request(id, 10, 5), sink).ok());
    sink->wait();
  }
  const EngineStats stats = engine->stats();
  EXPECT_EQ(first, 3);
  EXPECT_EQ(between, 12);
  EXPECT_EQ(stats.prompt_tokens, 30u);
  EXPECT_EQ(stats.generated_tokens, 15u);
  EXPECT_EQ(stats.requests_finished, 3u);
  EXPECT_EQ(stats.kv_pages_total, 512);
  EXPECT_EQ(stats.stage_names, (std::vector<std::string>{"0:fake0", "1:fake1"}));
}

}  // namespace
}  // namespace mokume::fake
