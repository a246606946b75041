// The same request gives the same tokens whatever runs beside it, however it is cut, staged or
// preempted.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "engine_fixture.h"

namespace mokume::fake {
namespace {

// Random lengths, and sampling of every kind, all from the id.
Request varied_request(RequestId id) {
  std::mt19937 random(static_cast<uint32_t>(id));
  Request request =
      make_request(id, 1 + static_cast<int>(random() % 60), 1 + static_cast<int>(random() % 40));
  SamplingParams& params = request.sampling;
  if (id % 4 == 0) return request;  // greedy
  params.temperature = 0.5f + static_cast<float>(id % 3) * 0.5f;
  params.seed = id * 31;
  if (id % 4 == 1) params.top_p = 0.9f;
  if (id % 4 == 2) params.top_k = 7;
  if (id % 4 == 3) params.repetition_penalty = 1.2f;
  if (id % 5 == 0) params.frequency_penalty = 0.7f;
  return request;
}

std::vector<TokenId> answer_alone(const Request& request, int stages) {
  auto engine = make_engine({.stages = stages});
  auto sink = std::make_shared<RecordingSink>();
  EXPECT_TRUE(engine->submit(request, sink).ok());
  EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
  return sink->tokens();
}

constexpr int kRequests = 64;

const std::vector<std::vector<TokenId>>& answers_alone(int stages) {
  static std::map<int, std::vector<std::vector<TokenId>>> answers;
  auto& of_stages = answers[stages];
  for (RequestId id = of_stages.size(); id < kRequests; ++id) {
    of_stages.push_back(answer_alone(varied_request(id), stages));
  }
  return of_stages;
}

struct Case {
  int stages;
  int chunk;
  int pages;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.stages << " stages, chunks of " << c.chunk << ", " << c.pages << " pages";
}

class Invariance : public ::testing::TestWithParam<Case> {};

TEST_P(Invariance, SixtyFourAtOnceGiveWhatEachGivesAlone) {
  EngineSetup setup{.stages = GetParam().stages};
  setup.engine.prefill_chunk_tokens = GetParam().chunk;
  setup.engine.kv_pages = GetParam().pages;
  setup.engine.context_length = 100;
  auto engine = make_engine(setup);
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (RequestId id = 0; id < kRequests; ++id) {
    sinks.push_back(std::make_shared<RecordingSink>());
    ASSERT_TRUE(engine->submit(varied_request(id), sinks.back()).ok());
  }
  const auto& wanted = answers_alone(GetParam().stages);
  for (RequestId id = 0; id < kRequests; ++id) {
    EXPECT_EQ(sinks[id]->wait().reason, FinishReason::kLength);
    EXPECT_EQ(sinks[id]->tokens(), wanted[id]) << "request " << id;
  }
  if (GetParam().pages < 50) {
    EXPECT_GT(engine->stats().preemptions, 0u);
  }
  EXPECT_TRUE(comes_to_rest(*engine));
}

// 25 pages of 4 tokens hold one sequence of 100 and little else.
INSTANTIATE_TEST_SUITE_P(AllCuts, Invariance,
                         ::testing::Values(Case{1, 1, 2000}, Case{1, 7, 2000}, Case{1, 64, 2000},
                                           Case{2, 1, 2000}, Case{2, 7, 2000}, Case{2, 64, 2000},
                                           Case{3, 1, 2000}, Case{3, 7, 2000}, Case{3, 64, 2000},
                                           Case{1, 7, 25}, Case{1, 64, 25}, Case{2, 7, 25},
                                           Case{2, 64, 25}, Case{3, 7, 25}, Case{3, 64, 40}));

TEST(Storm, ThousandsComeAndVanishAndTheOthersAreUnchanged) {
  EngineSetup setup{.stages = 2};
  setup.engine.max_sequences = 16;
  setup.engine.max_queue = 100000;
  setup.engine.kv_pages = 80;
  setup.engine.context_length = 100;
  setup.engine.prefill_chunk_tokens = 32;
  auto engine = make_engine(setup);
  constexpr int kClients = 4;
  constexpr int kEach = 1000;
  std::vector<std::vector<std::shared_ptr<RecordingSink>>> sinks(kClients);
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(static_cast<uint32_t>(client));
      for (int i = 0; i < kEach; ++i) {
        const RequestId id = static_cast<RequestId>(client * kEach + i);
        const int end = static_cast<int>(random() % 30);
        const int way = static_cast<int>(random() % 4);
        // way 0: the answer is wanted; 1: the sink gives up; 2: cancelled from outside, at some
        // time; 3: a deadline, perhaps past.
        auto sink = std::make_shared<RecordingSink>([=](const TokenEvent&, int index) {
          return way == 1 && index == end ? TokenSink::Verdict::kCancel
                                          : TokenSink::Verdict::kContinue;
        });
        Request request = varied_request(id % kRequests);
        request.id = id;
        if (way == 3)
          request.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(end - 2);
        EXPECT_TRUE(engine->submit(std::move(request), sink).ok());
        sinks[client].push_back(way == 0 ? sink : nullptr);
        if (way == 2 && end % 2 == 0) sink->wait_for_tokens(1);
        if (way == 2) engine->cancel(id);
        if (way != 0 && end % 10 == 0) sink->wait();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  const auto& wanted = answers_alone(2);
  int answered = 0;
  for (int client = 0; client < kClients; ++client) {
    for (int i = 0; i < kEach; ++i) {
      const auto& sink = sinks[client][i];
      if (!sink) continue;
      EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
      ASSERT_EQ(sink->tokens(), wanted[(client * kEach + i) % kRequests]);
      EXPECT_EQ(sink->finishes(), 1);
      ++answered;
    }
  }
  EXPECT_GT(answered, kClients * kEach / 8);
  EXPECT_TRUE(comes_to_rest(*engine));
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.requests_finished + stats.requests_cancelled,
            static_cast<uint64_t>(kClients * kEach));
  EXPECT_EQ(stats.requests_failed, 0u);
}

TEST(Storm, FailingStagesLoseOnlyTheirOwnSteps) {
  EngineSetup setup{.stages = 3};
  setup.engine.max_sequences = 16;
  setup.engine.max_queue = 1000;
  setup.engine.kv_pages = 60;
  setup.engine.context_length = 100;
  setup.fail = [](int stage, int step) {
    return (step * 3 + stage) % 41 == 40 ? absl::UnavailableError("now and then") : Status();
  };
  auto engine = make_engine(setup);
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (RequestId id = 0; id < 400; ++id) {
    Request request = varied_request(id % kRequests);
    request.id = id;
    sinks.push_back(std::make_shared<RecordingSink>());
    ASSERT_TRUE(engine->submit(std::move(request), sinks.back()).ok());
  }
  int failed = 0;
  for (RequestId id = 0; id < 400; ++id) {
    const FinishEvent finish = sinks[id]->wait();
    const auto& wanted = answers_alone(3)[id % kRequests];
    const auto tokens = sinks[id]->tokens();
    ASSERT_TRUE(tokens.size() <= wanted.size() &&
                std::equal(tokens.begin(), tokens.end(), wanted.begin()));
    if (finish.reason == FinishReason::kError) {
      ++failed;
      EXPECT_EQ(finish.status.code(), absl::StatusCode::kUnavailable);
    } else {
      EXPECT_EQ(tokens.size(), wanted.size());
    }
    EXPECT_EQ(sinks[id]->finishes(), 1);
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, 400);
  EXPECT_TRUE(comes_to_rest(*engine));
}

}  // namespace
}  // namespace mokume::fake
