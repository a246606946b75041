#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

namespace mokume {
namespace {

SchedulerOptions roomy(int stages = 1) {
  return {.max_sequences = 8,
          .prefill_chunk_tokens = 16,
          .kv_pages = 100,
          .page_tokens = 4,
          .context_length = 200,
          .stages = stages};
}

std::vector<TokenId> prompt_of(int tokens) { return std::vector<TokenId>(tokens, 7); }

void commit_all(Scheduler& scheduler, const Batch& batch) {
  scheduler.commit(batch, std::vector<TokenId>(batch.logit_rows.size(), 1));
}

int tokens_of(const Batch& batch, SequenceId id) {
  for (const BatchSlice& slice : batch.slices) {
    if (slice.sequence == id) return slice.token_count;
  }
  return 0;
}

TEST(Scheduler, CutsAPromptIntoChunksAndThenDecodes) {
  Scheduler scheduler(roomy());
  EXPECT_FALSE(scheduler.next());
  const SequenceId id = scheduler.add(prompt_of(20));
  Batch first = scheduler.next().value();
  EXPECT_EQ(first.token_ids.size(), 16u);
  EXPECT_TRUE(first.logit_rows.empty());
  EXPECT_EQ(first.slices[0].page_count, 4);
  EXPECT_FALSE(scheduler.next()) << "one stage, one batch";
  commit_all(scheduler, first);

  Batch second = scheduler.next().value();
  EXPECT_EQ(second.slices[0].first_position, 16);
  EXPECT_EQ(second.token_ids.size(), 4u);
  EXPECT_EQ(second.logit_rows, std::vector<int32_t>{3});
  scheduler.commit(second, std::vector<TokenId>{42});
  EXPECT_EQ(scheduler.find(id)->tokens.back(), 42);

  Batch third = scheduler.next().value();
  EXPECT_EQ(third.token_ids, std::vector<int32_t>{42});
  EXPECT_EQ(third.slices[0].first_position, 20);
  EXPECT_EQ(third.slices[0].page_count, 6);
  commit_all(scheduler, third);
  EXPECT_TRUE(scheduler.check().ok());
}

TEST(Scheduler, NextChunkMayFollowWhileTheFirstIsUnderWay) {
  Scheduler scheduler(roomy(2));
  scheduler.add(prompt_of(40));
  Batch first = scheduler.next().value();
  Batch second = scheduler.next().value();
  EXPECT_EQ(second.slices[0].first_position, 16);
  EXPECT_FALSE(scheduler.next());
  commit_all(scheduler, first);
  Batch third = scheduler.next().value();
  EXPECT_EQ(third.logit_rows.size(), 1u);
  commit_all(scheduler, second);
  EXPECT_FALSE(scheduler.next()) << "its token is awaited";
  commit_all(scheduler, third);
  EXPECT_TRUE(scheduler.next());
}

TEST(Scheduler, DecodesAreSharedBetweenTheStages) {
  Scheduler scheduler(roomy(2));
  for (int i = 0; i < 5; ++i) scheduler.add(prompt_of(2));
  commit_all(scheduler, scheduler.next().value());
  Batch first = scheduler.next().value();
  Batch second = scheduler.next().value();
  EXPECT_EQ(first.slices.size(), 3u);
  EXPECT_EQ(second.slices.size(), 2u);
}

TEST(Scheduler, EveryStreamGoesOnWhileALongPromptIsRead) {
  Scheduler scheduler(roomy());
  std::vector<SequenceId> streams;
  for (int i = 0; i < 3; ++i) streams.push_back(scheduler.add(prompt_of(2)));
  commit_all(scheduler, scheduler.next().value());
  const SequenceId long_one = scheduler.add(prompt_of(150));
  const SequenceId short_one = scheduler.add(prompt_of(10));
  int rounds_to_short = 0;
  bool short_answered = false;
  for (int round = 0; round < 20; ++round) {
    Batch batch = scheduler.next().value();
    EXPECT_LE(batch.token_ids.size(), 16u);
    for (const SequenceId stream : streams) EXPECT_EQ(tokens_of(batch, stream), 1);
    if (!short_answered) {
      ++rounds_to_short;
      EXPECT_GT(tokens_of(batch, long_one), 0);
    }
    const auto& sampled = batch.sampled_sequences;
    short_answered |= std::find(sampled.begin(), sampled.end(), short_one) != sampled.end();
    commit_all(scheduler, batch);
  }
  EXPECT_LE(rounds_to_short, 2);
  EXPECT_GT(scheduler.find(long_one)->token_count(), 150);
}

TEST(Scheduler, PromptsAreReadEvenWhenDecodesFillTheChunk) {
  SchedulerOptions options = roomy();
  options.prefill_chunk_tokens = 2;
  Scheduler scheduler(options);
  for (int i = 0; i < 5; ++i) scheduler.add(prompt_of(1));
  for (int i = 0; i < 6; ++i) commit_all(scheduler, scheduler.next().value());
  const SequenceId late = scheduler.add(prompt_of(4));
  for (int i = 0; i < 4; ++i) {
    Batch batch = scheduler.next().value();
    EXPECT_EQ(tokens_of(batch, late), 1);
    EXPECT_EQ(batch.token_ids.size(), 6u);
    commit_all(scheduler, batch);
  }
  EXPECT_EQ(scheduler.find(late)->token_count(), 5);
}

TEST(Scheduler, AdmitsInOrderUpToItsLimit) {
  SchedulerOptions options = roomy();
  options.max_sequences = 2;
  Scheduler scheduler(options);
  const SequenceId a = scheduler.add(prompt_of(1));
  const SequenceId b = scheduler.add(prompt_of(1));
  const SequenceId c = scheduler.add(prompt_of(1));
  Batch batch = scheduler.next().value();
  EXPECT_EQ(batch.sampled_sequences, (std::vector<SequenceId>{a, b}));
  EXPECT_EQ(scheduler.waiting(), 1);
  commit_all(scheduler, batch);
  scheduler.remove(a);
  batch = scheduler.next().value();
  EXPECT_EQ(batch.sampled_sequences, (std::vector<SequenceId>{b, c}));
}

TEST(Scheduler, PreemptsTheLatestAndComputesItAgain) {
  SchedulerOptions options = roomy();
  options.kv_pages = 4;  // 16 positions
  Scheduler scheduler(options);
  const SequenceId old_one = scheduler.add(prompt_of(6));
  const SequenceId new_one = scheduler.add(prompt_of(6));
  int new_tokens = 0;
  while (scheduler.preemptions() == 0) {
    new_tokens = scheduler.find(new_one)->token_count();
    commit_all(scheduler, scheduler.next().value());
    ASSERT_TRUE(scheduler.check().ok());
    ASSERT_LT(scheduler.find(old_one)->token_count(), 16);
  }
  EXPECT_EQ(scheduler.waiting(), 1);
  EXPECT_EQ(scheduler.find(new_one)->token_count(), new_tokens) << "it keeps what it has generated";
  EXPECT_EQ(scheduler.find(new_one)->blocks.page_count(), 0);
  scheduler.remove(old_one);
  const Batch again = scheduler.next().value();
  EXPECT_EQ(again.slices[0].first_position, 0);
  EXPECT_EQ(static_cast<int>(again.token_ids.size()), new_tokens);
  EXPECT_EQ(again.logit_rows.size(), 1u);
}

TEST(Scheduler, TheOldestGoesOnHoweverManyComeAfterIt) {
  SchedulerOptions options = roomy(2);
  options.kv_pages = 10;
  options.context_length = 40;  // all pages
  options.prefill_chunk_tokens = 8;
  Scheduler scheduler(options);
  const SequenceId oldest = scheduler.add(prompt_of(2));
  std::deque<Batch> in_flight;
  int batches_without_it = 0;
  while (scheduler.find(oldest)->token_count() < 40) {
    scheduler.add(prompt_of(5));
    while (auto batch = scheduler.next()) {
      batches_without_it = tokens_of(*batch, oldest) > 0 ? 0 : batches_without_it + 1;
      ASSERT_LE(batches_without_it, 2);
      in_flight.push_back(*std::move(batch));
    }
    const Batch batch = std::move(in_flight.front());
    in_flight.pop_front();
    commit_all(scheduler, batch);
    for (const SequenceId id : batch.sampled_sequences) {
      if (id != oldest && scheduler.find(id)->token_count() == 30) scheduler.remove(id);
    }
    ASSERT_TRUE(scheduler.check().ok()) << scheduler.check();
  }
  EXPECT_GT(scheduler.preemptions(), 0u);
}

TEST(Scheduler, RemovedInFlightFreesItsPagesWhenItsLastBatchIsBack) {
  Scheduler scheduler(roomy(2));
  const SequenceId id = scheduler.add(prompt_of(30));
  Batch first = scheduler.next().value();
  Batch second = scheduler.next().value();
  scheduler.remove(id);
  EXPECT_EQ(scheduler.find(id), nullptr);
  EXPECT_GT(scheduler.pool().used(), 0);
  commit_all(scheduler, second);  // out of order, as after a failure
  EXPECT_GT(scheduler.pool().used(), 0);
  EXPECT_TRUE(scheduler.check().ok());
  commit_all(scheduler, first);
  EXPECT_EQ(scheduler.pool().used(), 0);
  EXPECT_TRUE(scheduler.check().ok());
}

TEST(Scheduler, DiscardRemovesEverySequenceOfTheBatch) {
  Scheduler scheduler(roomy());
  scheduler.add(prompt_of(2));
  scheduler.add(prompt_of(2));
  Batch batch = scheduler.next().value();
  const SequenceId later = scheduler.add(prompt_of(2));
  scheduler.discard(batch);
  EXPECT_EQ(scheduler.running(), 0);
  EXPECT_EQ(scheduler.pool().used(), 0);
  EXPECT_EQ(scheduler.next().value().sampled_sequences, std::vector<SequenceId>{later});
}

// Runs random sequences through random batches and checks everything that a batch promises.
class Storm {
 public:
  Storm(uint32_t seed, const SchedulerOptions& options)
      : random_(seed), options_(options), scheduler_(options) {}

  void run(int requests) {
    int arrived = 0;
    int rounds = 0;
    while (arrived < requests || !wanted_.empty()) {
      ASSERT_LT(++rounds, requests * 1000) << "no progress";
      while (arrived < requests && random_() % 3 == 0) arrive(++arrived);
      if (!wanted_.empty() && random_() % 16 == 0) drop_one();
      while (auto batch = scheduler_.next()) {
        check_batch(*batch);
        in_flight_.push_back(*std::move(batch));
        if (random_() % 4 == 0) break;
      }
      ASSERT_TRUE(wanted_.empty() || !in_flight_.empty()) << "stuck";
      if (!in_flight_.empty()) come_back();
      ASSERT_TRUE(scheduler_.check().ok()) << scheduler_.check();
    }
    while (!in_flight_.empty()) come_back();
    EXPECT_EQ(scheduler_.pool().used(), 0);
    EXPECT_EQ(scheduler_.running() + scheduler_.waiting(), 0);
  }

  uint64_t preemptions() const { return scheduler_.preemptions(); }

 private:
  void arrive(int number) {
    const int limit = scheduler_.max_positions();
    const int prompt = 1 + static_cast<int>(random_() % (limit - 1));
    const int most = prompt + 1 + static_cast<int>(random_() % 30);
    wanted_[scheduler_.add(std::vector<TokenId>(prompt, number))] = std::min(most, limit);
  }

  void drop_one() {
    auto victim = wanted_.begin();
    std::advance(victim, random_() % wanted_.size());
    scheduler_.remove(victim->first);
    wanted_.erase(victim);
  }

  void come_back() {
    const Batch batch = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (random_() % 50 == 0) {
      for (const BatchSlice& slice : batch.slices) wanted_.erase(slice.sequence);
      scheduler_.discard(batch);
      return;
    }
    commit_all(scheduler_, batch);
    for (const SequenceId id : batch.sampled_sequences) {
      const auto found = wanted_.find(id);
      if (found == wanted_.end() || scheduler_.find(id)->token_count() < found->second) continue;
      scheduler_.remove(id);
      wanted_.erase(found);
    }
  }

  void check_batch(const Batch& batch) {
    ASSERT_LE(static_cast<int>(batch.token_ids.size()),
              options_.prefill_chunk_tokens + options_.max_sequences);
    ASSERT_LE(static_cast<int>(batch.slices.size()), options_.max_sequences);
    int next_token = 0;
    std::map<int32_t, SequenceId> owner;
    for (const BatchSlice& slice : batch.slices) {
      ASSERT_EQ(slice.first_token, next_token);
      ASSERT_GT(slice.token_count, 0);
      next_token += slice.token_count;
      ASSERT_GE(slice.page_count * options_.page_tokens, slice.first_position + slice.token_count);
      for (const int32_t page : batch.pages(slice))
        ASSERT_TRUE(owner.emplace(page, slice.sequence).second);
      for (const Batch& other : in_flight_) {
        const auto& awaited = other.sampled_sequences;
        ASSERT_EQ(std::count(awaited.begin(), awaited.end(), slice.sequence), 0);
      }
    }
    ASSERT_EQ(next_token, static_cast<int>(batch.token_ids.size()));
    ASSERT_EQ(batch.logit_rows.size(), batch.sampled_sequences.size());
  }

  std::mt19937 random_;
  SchedulerOptions options_;
  Scheduler scheduler_;
  std::map<SequenceId, int> wanted_;  // tokens at which it ends
  std::deque<Batch> in_flight_;
};

TEST(Scheduler, StormsKeepTheBooksInOrder) {
  uint64_t preemptions = 0;
  for (const int stages : {1, 2, 3}) {
    for (const int pages : {3, 9, 60}) {
      SchedulerOptions options = roomy(stages);
      options.kv_pages = pages;
      options.context_length = 60;
      Storm storm(static_cast<uint32_t>(stages * 100 + pages), options);
      storm.run(400);
      if (HasFatalFailure()) return;
      preemptions += storm.preemptions();
    }
  }
  EXPECT_GT(preemptions, 100u);
}

}  // namespace
}  // namespace mokume
