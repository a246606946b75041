// The executor sees what it says it sees: a planted fault of each kind, in three orders of lanes,
// beside the right form of the same kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/simt/harness.h"

namespace mokume::cuda::host {
namespace {

using simt::Device;
using simt::Order;
using testing::HasSubstr;
using testing::IsEmpty;

class Faults : public testing::TestWithParam<Order> {
 protected:
  Device device{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Orders, Faults,
                         testing::Values(Order::kForward, Order::kReverse, Order::kRandom));

// --- Global memory -------------------------------------------------------------------------

void copy(const float* from, float* to, int count) {
  wait_for_previous();
  const Ptr<const float> source = global(from);
  const Ptr<float> target = global(to);
  for (int i = thread_x(); i < count; i += block_threads()) {
    const float value = source[i];
    target[i] = value;
  }
}

TEST_P(Faults, RunsAKernelThatIsRight) {
  const float* from = device.put(std::vector<float>{1, 2, 3, 4, 5});
  float* to = device.empty<float>(5);
  EXPECT_THAT(device.run(copy, {1}, 64, 0, from, to, 5), IsEmpty());
  EXPECT_EQ(to[4], 5);
  EXPECT_TRUE(device.memory().written(to, 20));
}

TEST_P(Faults, ReadOutOfBounds) {
  const float* from = device.put(std::vector<float>(5));
  float* to = device.empty<float>(6);
  EXPECT_THAT(device.run(copy, {1}, 64, 0, from, to, 6),
              HasSubstr("planted: out of bounds: reads 4 bytes at 20 of a buffer of 20"));
}

TEST_P(Faults, WriteOutOfBounds) {
  const float* from = device.put(std::vector<float>(6));
  float* to = device.empty<float>(5);
  EXPECT_THAT(device.run(copy, {1}, 64, 0, from, to, 6),
              HasSubstr("out of bounds: writes 4 bytes"));
}

TEST_P(Faults, ReadOfWhatWasNeverWritten) {
  const float* from = device.empty<float>(5);
  float* to = device.empty<float>(5);
  EXPECT_THAT(device.run(copy, {1}, 64, 0, from, to, 5), HasSubstr("uninitialized: reads"));
}

TEST_P(Faults, ReadOfWhatIsNotAllocated) {
  std::vector<float> elsewhere(5);
  float* to = device.empty<float>(5);
  EXPECT_THAT(device.run(copy, {1}, 64, 0, elsewhere.data(), to, 5),
              HasSubstr("where nothing is allocated"));
  EXPECT_THAT(device.run(copy, {1}, 64, 0, nullptr, to, 5), HasSubstr("nothing is allocated"));
}

TEST_P(Faults, ReadOfWhatWasFreed) {
  float* from = device.put(std::vector<float>(5));
  float* to = device.empty<float>(5);
  ASSERT_TRUE(device.memory().free(from));
  EXPECT_THAT(device.run(copy, {1}, 64, 0, from, to, 5), HasSubstr("nothing is allocated"));
}

void load_vectors(const float* from, float* to, int offset) {
  wait_for_previous();
  const Float4 v = load<Float4>(global(from) + offset + 4 * lane_id());
  store(global(to) + 4 * lane_id(), v);
}

TEST_P(Faults, MisalignedVectorLoad) {
  const float* from = device.put(std::vector<float>(132));
  float* to = device.empty<float>(128);
  EXPECT_THAT(device.run(load_vectors, {1}, 32, 0, from, to, 4), IsEmpty());
  EXPECT_THAT(device.run(load_vectors, {1}, 32, 0, from, to, 2),
              HasSubstr("misaligned: reads 16 bytes"));
}

void write_by_blocks(float* to, int stride) {
  wait_for_previous();
  if (thread_x() == 0) global(to)[block_x() * stride] = 1.0f;
}

TEST_P(Faults, TwoBlocksWriteOneWord) {
  float* to = device.empty<float>(8);
  EXPECT_THAT(device.run(write_by_blocks, {8}, 32, 0, to, 1), IsEmpty());
  EXPECT_THAT(device.run(write_by_blocks, {8}, 32, 0, to, 1), IsEmpty()) << "of another launch";
  EXPECT_THAT(device.run(write_by_blocks, {8}, 32, 0, to, 0),
              HasSubstr("a race: two blocks write"));
}

enum class Between { kNothing, kWarpBarrier, kBlockBarrier };

void write_twice(float* to, int other, Between between) {
  wait_for_previous();
  if (thread_x() == 0) global(to)[0] = 1.0f;
  if (between == Between::kWarpBarrier) sync_warp();
  if (between == Between::kBlockBarrier) sync_block();
  if (static_cast<int>(thread_x()) == other) global(to)[0] = 2.0f;
}

TEST_P(Faults, TwoThreadsWriteOneWordBetweenBarriers) {
  float* to = device.empty<float>(1);
  for (const auto& [other, between, race] : {std::tuple{0, Between::kNothing, false},
                                             {3, Between::kNothing, true},
                                             {40, Between::kNothing, true},
                                             {3, Between::kWarpBarrier, false},
                                             {40, Between::kWarpBarrier, true},
                                             {40, Between::kBlockBarrier, false}}) {
    const std::string fault = device.run(write_twice, {1}, 64, 0, to, other, between);
    EXPECT_EQ(fault.find("a race: threads") != std::string::npos, race) << other << ' ' << fault;
    EXPECT_EQ(fault.empty(), !race);
  }
}

void count_blocks(int* counter) {
  wait_for_previous();
  if (thread_x() == 0) atomic_add(global(counter), 1);
}

TEST_P(Faults, AtomicsOfBlocksAreNoRace) {
  int* counter = device.put(std::vector<int>{0});
  EXPECT_THAT(device.run(count_blocks, {9}, 32, 0, counter), IsEmpty());
  EXPECT_EQ(*counter, 9);
}

void write_early(float* to, bool wait) {
  if (wait) wait_for_previous();
  if (to) global(to)[thread_x()] = 0.0f;
}

TEST_P(Faults, WriteBeforeThePreviousKernelEnded) {
  float* to = device.empty<float>(32);
  EXPECT_THAT(device.run(write_early, {1}, 32, 0, to, true), IsEmpty());
  EXPECT_THAT(device.run(write_early, {1}, 32, 0, to, false), HasSubstr("writes before it waits"));
  EXPECT_THAT(device.run(write_early, {1}, 32, 0, nullptr, false),
              HasSubstr("ends without waiting"));
}

void read_early(const float* from, float* to) {
  const float value = global(from)[thread_x()];
  wait_for_previous();
  global(to)[thread_x()] = value;
}

// What no kernel writes, as weights, may be read early.
TEST_P(Faults, ReadBeforeThePreviousKernelEnded) {
  const float* from = device.put(std::vector<float>(32));
  float *once = device.empty<float>(32), *twice = device.empty<float>(32);
  EXPECT_THAT(device.run(read_early, {1}, 32, 0, from, once), IsEmpty());
  EXPECT_THAT(device.run(read_early, {1}, 32, 0, static_cast<const float*>(once), twice),
              HasSubstr("which a kernel wrote, before it waits"));
}

// --- Shared memory -------------------------------------------------------------------------

enum class Missing { kNothing, kBlockBarrier, kStore };

// Each thread reads what another warp's thread wrote.
void exchange_in_block(float* out, Missing missing) {
  wait_for_previous();
  MKM_SHARED(float, values, 64);
  const int t = static_cast<int>(thread_x());
  if (missing != Missing::kStore || t != 3) values[t] = static_cast<float>(t);
  if (missing != Missing::kBlockBarrier) sync_block();
  const float other = values[63 - t];
  global(out)[t] = other;
}

TEST_P(Faults, MissingBlockBarrier) {
  float* out = device.empty<float>(64);
  EXPECT_THAT(device.run(exchange_in_block, {2}, 64, 0, out, Missing::kNothing),
              HasSubstr("two blocks"));
  EXPECT_THAT(device.run(exchange_in_block, {1}, 64, 0, out, Missing::kNothing), IsEmpty());
  EXPECT_EQ(out[0], 63);
  // Either the reader comes first and finds nothing, or it meets the writer's mark.
  EXPECT_THAT(device.run(exchange_in_block, {1}, 64, 0, out, Missing::kBlockBarrier),
              testing::AnyOf(HasSubstr("a race in shared memory"), HasSubstr("uninitialized")));
}

TEST_P(Faults, SharedMemoryNeverWritten) {
  float* out = device.empty<float>(64);
  EXPECT_THAT(device.run(exchange_in_block, {1}, 64, 0, out, Missing::kStore),
              HasSubstr("uninitialized: reads 4 bytes at 12 of a shared array of 256"));
}

// Writes again what others have read since the barrier.
void overwrite_in_block(float* out, bool barrier) {
  wait_for_previous();
  MKM_SHARED(float, values, 64);
  const int t = static_cast<int>(thread_x());
  values[t] = 1.0f;
  sync_block();
  const float other = values[63 - t];
  if (barrier) sync_block();
  values[t] = other + 1.0f;
  sync_block();
  const float mine = values[t];
  global(out)[t] = mine;
}

TEST_P(Faults, WriteAfterReadWithoutBarrier) {
  float* out = device.empty<float>(64);
  EXPECT_THAT(device.run(overwrite_in_block, {1}, 64, 0, out, true), IsEmpty());
  EXPECT_THAT(device.run(overwrite_in_block, {1}, 64, 0, out, false),
              HasSubstr("a race in shared memory"));
}

enum class Order32 { kBarrier, kShuffle, kNothing };

void exchange_in_warp(float* out, Order32 how) {
  wait_for_previous();
  MKM_SHARED(float, values, 32);
  const int t = lane_id();
  values[t] = static_cast<float>(t);
  if (how == Order32::kBarrier) sync_warp();
  if (how == Order32::kShuffle) shuffle(0.0f, 0);
  const float other = values[31 - t];
  global(out)[t] = other;
}

TEST_P(Faults, MissingWarpBarrier) {
  float* out = device.empty<float>(32);
  EXPECT_THAT(device.run(exchange_in_warp, {1}, 32, 0, out, Order32::kBarrier), IsEmpty());
  EXPECT_THAT(device.run(exchange_in_warp, {1}, 32, 0, out, Order32::kShuffle),
              HasSubstr("a race in shared memory"))
      << "a shuffle orders no memory";
  EXPECT_THAT(device.run(exchange_in_warp, {1}, 32, 0, out, Order32::kNothing),
              testing::AnyOf(HasSubstr("a race in shared memory"), HasSubstr("uninitialized")));
}

void write_one_word(int how) {
  wait_for_previous();
  MKM_SHARED(uint8_t, bytes, 64);
  const int t = lane_id();
  if (how == 0) bytes[t] = static_cast<uint8_t>(1);      // neighbours in a word
  if (how == 1) bytes[t / 2] = static_cast<uint8_t>(1);  // pairs on one byte
  if (how == 2 && t == 5) store(cast<uint32_t>(bytes), uint32_t{0});
  if (how == 2 && t != 5) bytes[t] = static_cast<uint8_t>(1);
}

TEST_P(Faults, TwoThreadsWriteOneByte) {
  EXPECT_THAT(device.run(write_one_word, {1}, 32, 0, 0), IsEmpty());
  EXPECT_THAT(device.run(write_one_word, {1}, 32, 0, 1), HasSubstr("a race in shared memory"));
  EXPECT_THAT(device.run(write_one_word, {1}, 32, 0, 2), HasSubstr("a race in shared memory"));
}

void add_in_block(int* out, bool atomic) {
  wait_for_previous();
  MKM_SHARED(int, sum, 1);
  if (thread_x() == 0) sum[0] = 0;
  sync_block();
  if (atomic) atomic_add(sum, 1);
  if (!atomic) sum[0] += 1;
  sync_block();
  const int total = sum[0];
  if (thread_x() == 0) global(out)[0] = total;
}

TEST_P(Faults, SharedAtomics) {
  int* out = device.empty<int>(1);
  EXPECT_THAT(device.run(add_in_block, {1}, 96, 0, out, true), IsEmpty());
  EXPECT_EQ(*out, 96);
  EXPECT_THAT(device.run(add_in_block, {1}, 96, 0, out, false), HasSubstr("a race"));
}

void dynamic_array(int index, float* out) {
  wait_for_previous();
  MKM_DYNAMIC_SHARED(bytes);
  const Ptr<float> values = cast<float>(bytes);
  values[index + lane_id()] = 1.0f;
  const float mine = values[index + lane_id()];
  global(out)[lane_id()] = mine;
}

TEST_P(Faults, DynamicSharedMemory) {
  float* out = device.empty<float>(32);
  EXPECT_THAT(device.run(dynamic_array, {1}, 32, 256, 32, out), IsEmpty());
  EXPECT_THAT(device.run(dynamic_array, {1}, 32, 256, 33, out),
              HasSubstr("out of bounds: writes 4 bytes at 256 of a shared array of 256"));
}

void copy_with_cp_async(const float* from, float* to, bool wait) {
  wait_for_previous();
  MKM_SHARED(Float4, staged, 32);
  copy16_async(staged + lane_id(), global(from) + 4 * lane_id());
  commit_copies();
  if (wait) wait_copies<0>();
  const Float4 value = staged[lane_id()];
  store(global(to) + 4 * lane_id(), value);
}

TEST_P(Faults, CopyThatIsNotWaitedFor) {
  std::vector<float> values(128);
  values[127] = 3;
  const float* from = device.put(values);
  float* to = device.empty<float>(128);
  EXPECT_THAT(device.run(copy_with_cp_async, {1}, 32, 0, from, to, true), IsEmpty());
  EXPECT_EQ(to[127], 3);
  EXPECT_THAT(device.run(copy_with_cp_async, {1}, 32, 0, from, to, false),
              HasSubstr("uninitialized"));
}

// --- Collectives ---------------------------------------------------------------------------

void diverging_barriers(int how) {
  wait_for_previous();
  const bool odd = thread_x() % 2 == 1, second = thread_x() >= 32;
  if (how == 0) sync_block();
  if (how == 1) {
    if (odd) {
      sync_block();
    } else {
      sync_block();
    }
  }
  if (how == 2) {
    if (second) {
      sync_block();
    } else {
      sync_block();
    }
  }
  if (how == 3 && !second) sync_block();
  if (how == 4 && !odd) sync_block();
  if (how == 5 && odd) return;
  if (how == 5) sync_warp();
}

TEST_P(Faults, DivergentBarriers) {
  EXPECT_THAT(device.run(diverging_barriers, {1}, 64, 0, 0), IsEmpty());
  EXPECT_THAT(device.run(diverging_barriers, {1}, 64, 0, 1), HasSubstr("diverged"));
  EXPECT_THAT(device.run(diverging_barriers, {1}, 64, 0, 2), HasSubstr("diverged"));
}

TEST_P(Faults, ExitBeforeABarrier) {
  for (const int how : {3, 4, 5}) {
    EXPECT_THAT(device.run(diverging_barriers, {1}, 64, 0, how), HasSubstr("its end"));
  }
}

void shuffles(float* out, int lanes) {
  wait_for_previous();
  float sum = 1.0f;
  if (lane_id() < lanes) sum = warp_sum(sum);
  global(out)[thread_x()] = sum;
}

TEST_P(Faults, ShuffleWithAbsentLanes) {
  float* out = device.empty<float>(32);
  EXPECT_THAT(device.run(shuffles, {1}, 32, 0, out, 32), IsEmpty());
  EXPECT_EQ(out[0], 32);
  EXPECT_THAT(device.run(shuffles, {1}, 32, 0, out, 31), HasSubstr("diverged"));
}

// --- Launches ------------------------------------------------------------------------------

TEST_P(Faults, LaunchesOfImpossibleSizes) {
  float* out = device.empty<float>(32);
  EXPECT_THAT(device.run(shuffles, {1}, 48, 0, out, 32), HasSubstr("a multiple of 32"));
  EXPECT_THAT(device.run(shuffles, {1}, 2048, 0, out, 32), HasSubstr("at most 1024"));
  EXPECT_THAT(device.run(shuffles, {0}, 32, 0, out, 32), HasSubstr("a grid is"));
  EXPECT_THAT(device.run(shuffles, {1}, 32, 100 * 1024, out, 32), HasSubstr("shared memory"));
}

TEST_P(Faults, GoesOnAfterAFault) {
  float* out = device.empty<float>(32);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(device.run(shuffles, {1}, 32, 0, out, 31), HasSubstr("diverged"));
    EXPECT_THAT(device.run(shuffles, {1}, 32, 0, out, 32), IsEmpty());
  }
}

TEST(SimtMemory, CountsAllocations) {
  simt::Memory memory;
  void* a = memory.allocate(100);
  void* b = memory.allocate(0);
  EXPECT_EQ(memory.allocations(), 2u);
  EXPECT_EQ(memory.allocated_bytes(), 101u);
  EXPECT_TRUE(memory.holds(a, 100));
  EXPECT_FALSE(memory.holds(a, 101));
  EXPECT_FALSE(memory.free(static_cast<char*>(a) + 1));
  EXPECT_TRUE(memory.free(a));
  EXPECT_TRUE(memory.free(b));
  EXPECT_FALSE(memory.free(b));
  EXPECT_EQ(memory.allocated_bytes(), 0u);
  EXPECT_EQ(memory.allocate(~size_t{0}), nullptr);
}

}  // namespace
}  // namespace mokume::cuda::host
