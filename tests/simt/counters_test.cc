// What the executor counts, against counts by hand.
#include <gtest/gtest.h>

#include "kernels/common/half.h"
#include "tests/simt/harness.h"

namespace mokume::cuda::host {
namespace {

using simt::Device;

// Reads of 4 bytes, `stride` floats apart.
void read_strided(const float* from, float* to, int stride) {
  wait_for_previous();
  const float value = global(from)[lane_id() * stride];
  global(to)[lane_id()] = value;
}

TEST(Counters, Sectors) {
  for (const auto& [stride, sectors] : {std::pair{1, 4}, {2, 8}, {8, 32}, {0, 1}}) {
    Device device;
    const float* from = device.put(std::vector<float>(256));
    float* to = device.empty<float>(32);
    ASSERT_EQ(device.run(read_strided, {1}, 32, 0, from, to, stride), "");
    const simt::Counters counted = device.counted();
    EXPECT_EQ(counted.sectors, static_cast<uint64_t>(sectors) + 4) << stride;
    EXPECT_EQ(counted.used_bytes, (stride ? 128u : 4u) + 128u);
    EXPECT_EQ(counted.read_bytes, static_cast<uint64_t>(sectors) * 32);
    EXPECT_EQ(counted.written_bytes, 128u);
    EXPECT_EQ(counted.launches, 1u);
    EXPECT_EQ(counted.blocks, 1u);
  }
}

TEST(Counters, TheL2HoldsWhatIsReadAgain) {
  Device device;
  const float* from = device.put(std::vector<float>(256));
  float* to = device.empty<float>(32);
  ASSERT_EQ(device.run(read_strided, {1}, 32, 0, from, to, 8), "");
  ASSERT_EQ(device.run(read_strided, {1}, 32, 0, from, to, 8), "");
  EXPECT_EQ(device.counted().sectors, 2u * 36);
  EXPECT_EQ(device.counted().read_bytes, 32u * 32);
  EXPECT_EQ(device.counted().written_bytes, 128u);
  device.executor().reset_counters();
  ASSERT_EQ(device.run(read_strided, {1}, 32, 0, from, to, 8), "");
  EXPECT_EQ(device.counted().read_bytes, 32u * 32);
}

// More than it holds goes through it twice.
void read_all(const float* from, float* to, int count) {
  wait_for_previous();
  float sum = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int i = thread_x(); i < count / 4; i += block_threads()) {
      const Float4 v = load<Float4>(global(from) + 4 * i);
      sum += v.x;
    }
    sync_block();  // warps run from one barrier to the next
  }
  global(to)[thread_x()] = sum;
}

TEST(Counters, TheL2DoesNotHoldEverything) {
  for (const auto& [bytes, passes] : {std::pair{1 << 20, 1}, {16 << 20, 2}}) {
    Device device;
    const float* from = device.put(std::vector<float>(static_cast<size_t>(bytes) / 4));
    float* to = device.empty<float>(256);
    ASSERT_EQ(device.run(read_all, {1}, 256, 0, from, to, bytes / 4), "");
    EXPECT_NEAR(static_cast<double>(device.counted().read_bytes), 1.0 * passes * bytes,
                bytes * .02);
    EXPECT_EQ(device.counted().sector_efficiency(), 1);
  }
}

void write_banks(int stride) {
  wait_for_previous();
  MKM_SHARED(float, values, 1024);
  values[lane_id() * stride] = 1.0f;
}

TEST(Counters, BankConflicts) {
  for (const auto& [stride, ways] : {std::pair{1, 1}, {2, 2}, {4, 4}, {32, 32}, {31, 1}}) {
    Device device;
    ASSERT_EQ(device.run(write_banks, {1}, 32, 0, stride), "");
    EXPECT_EQ(device.counted().bank_ways(), ways) << stride;
    EXPECT_EQ(device.counted().shared_bytes, 4096u);
  }
}

void write_vectors(int stride) {
  wait_for_previous();
  MKM_SHARED(Float4, values, 256);
  store(values + lane_id() * stride, Float4{});
}

TEST(Counters, VectorsTakeOnePhaseAQuarter) {
  for (const auto& [stride, ways] : {std::pair{1, 1}, {2, 2}, {8, 8}}) {
    Device device;
    ASSERT_EQ(device.run(write_vectors, {1}, 32, 0, stride), "");
    EXPECT_EQ(device.counted().shared_phases, 4u);
    EXPECT_EQ(device.counted().bank_ways(), ways) << stride;
  }
}

void barriers() {
  wait_for_previous();
  sync_block();
  sync_block();
  sync_warp();
  shuffle(1, 0);
}

TEST(Counters, Barriers) {
  Device device;
  ASSERT_EQ(device.run(barriers, {3}, 64, 0), "");
  EXPECT_EQ(device.counted().block_barriers, 6u);
  EXPECT_EQ(device.counted().warp_collectives, 12u);
}

}  // namespace
}  // namespace mokume::cuda::host
