#include "device/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace mokume {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, DoesEveryItemOnce) {
  ThreadPool pool(GetParam(), {});
  for (int items : {0, 1, 2, 7, 100, 70'000}) {
    for (int grain : {1, 3, 64}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(items));
      pool.run(items, grain, [&](int begin, int end) {
        EXPECT_LE(0, begin);
        EXPECT_LT(begin, end);
        for (int i = begin; i < end; ++i) done[static_cast<size_t>(i)].fetch_add(1);
      });
      for (const auto& count : done) ASSERT_EQ(count.load(), 1);
    }
  }
}

// Thousands of short regions, so that threads come late to many of them; what a region wrote is
// seen after it.
TEST_P(ThreadPoolTest, RegionsDoNotMix) {
  ThreadPool pool(GetParam(), {});
  constexpr int kItems = 24;
  std::vector<int> values(kItems, 0);
  for (int round = 1; round <= 5'000; ++round) {
    pool.run(kItems, 1, [&](int begin, int end) {
      for (int i = begin; i < end; ++i) ++values[static_cast<size_t>(i)];
    });
    for (int value : values) ASSERT_EQ(value, round);
  }
}

TEST_P(ThreadPoolTest, SleepingThreadsWakeUp) {
  ThreadPool pool(GetParam(), {});
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // longer than they spin
    std::atomic<int> sum{0};
    pool.run(100, 1, [&](int begin, int end) { sum += end - begin; });
    EXPECT_EQ(sum.load(), 100);
  }
}

// A thread that is stuck in one chunk holds up that chunk alone: the others take the rest of its
// share.
TEST(ThreadPool, OthersTakeTheShareOfASlowThread) {
  ThreadPool pool(2, {});
  std::atomic<int> fast{0};
  std::atomic<bool> stuck{false};
  pool.run(64, 1, [&](int, int) {
    if (!stuck.exchange(true)) {
      const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (fast.load() < 63 && std::chrono::steady_clock::now() < limit)
        std::this_thread::yield();
    } else {
      ++fast;
    }
  });
  EXPECT_EQ(fast.load(), 63);
}

}  // namespace
}  // namespace mokume
