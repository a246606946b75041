#include "device/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <time.h>

#include <array>
#include <chrono>
#include <thread>

namespace mokume {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8));

TEST_P(ThreadPoolTest, DoesEveryItemOnce) {
  ThreadPool pool(GetParam());
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
  ThreadPool pool(GetParam());
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
  ThreadPool pool(GetParam());
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
  ThreadPool pool(2);
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

/// Adds 1 to each value, in memory of each thread's own first. The first piece sleeps in compute()
/// until `until`, so that another thread has to do it again.
class AddOne final : public Op {
 public:
  AddOne(std::vector<std::atomic<int>>& values, std::atomic<bool>& until)
      : values_(values), until_(until) {}
  int items() const override { return static_cast<int>(values_.size()); }
  bool repeatable() const override { return true; }
  void compute(int thread, int begin, int) const override {
    own_[static_cast<size_t>(thread)] = values_[static_cast<size_t>(begin)].load() + 1;
    if (slept_.exchange(true)) return;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!until_.load() && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  }
  void commit(int thread, int begin, int) const override {
    values_[static_cast<size_t>(begin)].store(own_[static_cast<size_t>(thread)]);
    ++commits_;
  }
  int commits() const { return commits_.load(); }

 private:
  std::vector<std::atomic<int>>& values_;
  std::atomic<bool>& until_;
  mutable std::array<std::atomic<int>, 8> own_{};
  mutable std::atomic<bool> slept_{false};
  mutable std::atomic<int> commits_{0};
};

class Tell final : public Op {
 public:
  explicit Tell(std::atomic<bool>& told) : told_(told) {}
  int items() const override { return 1; }
  void compute(int, int, int) const override { told_.store(true); }

 private:
  std::atomic<bool>& told_;
};

// The op after the one in which a thread sleeps is what wakes it up.
TEST(ThreadPool, GoesOnWithoutAThreadThatSleepsInARepeatablePiece) {
  for (int threads : {2, 4}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> values(24);
    std::atomic<bool> told{false};
    const AddOne add(values, told);
    const Tell tell(told);
    const Op* const ops[] = {&add, &tell};
    const auto start = std::chrono::steady_clock::now();
    pool.run(ops);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
    for (const auto& value : values) EXPECT_EQ(value.load(), 1);
    EXPECT_EQ(add.commits(), 24);  // the late result was dropped
  }
}

TEST(ThreadPool, TakesNoTimeWhenThereIsNothingToDo) {
  const auto process_time = [] {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  };
  ThreadPool pool(4);
  pool.run(100, 1, [](int, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double before = process_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(process_time() - before, .01);
}

}  // namespace
}  // namespace mokume
