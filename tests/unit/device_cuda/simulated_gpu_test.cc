// The simulated GPU keeps a stream's order, replays graphs, counts, and fails where it is told to.
#include "device/cuda/simulated_gpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "device/cuda/blocks.h"
#include "device/cuda/launches.h"

namespace mokume::cuda {
namespace {

using testing::HasSubstr;

constexpr int kRows = 3, kColumns = 8;

/// A GPU with a table of rows 0 0 .., 1 1 .., 2 2 .. to look up.
class SimulatedGpuTest : public testing::Test {
 protected:
  void open(SimulatedFaults faults) {
    SimulatedOptions options;
    options.device = "gpu7";
    options.faults = faults;
    options.ledger = ledger;
    gpu = make_simulated_gpu(options);
  }

  Status prepare() {
    MKM_ASSIGN_OR_RETURN(stream, make_stream(*gpu));
    MKM_ASSIGN_OR_RETURN(table, DeviceBlock::allocate(*gpu, sizeof(values)));
    MKM_ASSIGN_OR_RETURN(ids, DeviceBlock::allocate(*gpu, sizeof(int32_t)));
    MKM_ASSIGN_OR_RETURN(out, DeviceBlock::allocate(*gpu, kColumns * sizeof(float)));
    MKM_ASSIGN_OR_RETURN(pinned, PinnedBlock::allocate(*gpu, 256));
    std::fill_n(pinned.data(), 256, std::byte{0});
    for (int i = 0; i < kRows * kColumns; ++i) values[i] = static_cast<float>(i / kColumns);
    return gpu->copy_to_device(stream.get(), table.data(), values, sizeof(values));
  }

  int32_t& id() { return *reinterpret_cast<int32_t*>(pinned.data()); }
  const float& answer() { return *reinterpret_cast<const float*>(pinned.data() + 64); }

  /// answer() = the row of id(), once the stream has run.
  Status put_lookup() {
    Launches go(*gpu, stream.get());
    go.copy_to_device(ids.data(), pinned.data(), sizeof(int32_t));
    EmbedArgs args;
    args.table = {Format::kF32, table.data(), nullptr, nullptr, nullptr, kRows, kColumns, 1};
    args.ids = reinterpret_cast<const int32_t*>(ids.data());
    args.out = reinterpret_cast<float*>(out.data());
    args.tokens = 1;
    go("embed", go.kernels().embed, args);
    go.copy_to_host(pinned.data() + 64, out.data(), kColumns * sizeof(float));
    return go.status();
  }

  Status look_up() {
    MKM_RETURN_IF_ERROR(prepare());
    MKM_RETURN_IF_ERROR(put_lookup());
    return gpu->synchronize(stream.get());
  }

  void close() {
    stream = {};
    graph = {};
    table = {};
    ids = {};
    out = {};
    pinned = {};
    gpu.reset();
  }

  std::shared_ptr<SimulatedLedger> ledger = std::make_shared<SimulatedLedger>();
  std::unique_ptr<Gpu> gpu;
  OwnedStream stream;
  OwnedGraph graph;
  DeviceBlock table, ids, out;
  PinnedBlock pinned;
  float values[kRows * kColumns];
};

TEST_F(SimulatedGpuTest, RunsWhenSomebodyWaits) {
  open({});
  ASSERT_TRUE(prepare().ok());
  ASSERT_TRUE(put_lookup().ok());
  id() = 2;  // the copy has not run yet
  EXPECT_EQ(answer(), 0);
  ASSERT_TRUE(gpu->synchronize(stream.get()).ok());
  EXPECT_EQ(answer(), 2);
  EXPECT_EQ(ledger->kernels, 1);
}

TEST_F(SimulatedGpuTest, ReplaysWhatWasRecorded) {
  open({});
  ASSERT_TRUE(prepare().ok());
  ASSERT_TRUE(gpu->begin_capture(stream.get()).ok());
  ASSERT_TRUE(put_lookup().ok());
  auto recorded = gpu->end_capture(stream.get());
  ASSERT_TRUE(recorded.ok());
  graph = OwnedGraph(*gpu, *recorded);
  ASSERT_TRUE(gpu->synchronize(stream.get()).ok());
  EXPECT_EQ(ledger->kernels, 0);
  for (int row : {1, 2, 0}) {
    id() = row;
    ASSERT_TRUE(gpu->launch_graph(stream.get(), graph.get()).ok());
    ASSERT_TRUE(gpu->synchronize(stream.get()).ok());
    EXPECT_EQ(answer(), row);
  }
  close();
  EXPECT_TRUE(ledger->holds_nothing());
}

TEST_F(SimulatedGpuTest, CountsWhatIsHeld) {
  open({});
  ASSERT_TRUE(prepare().ok());
  EXPECT_EQ(ledger->buffers, 4);
  EXPECT_EQ(ledger->streams, 1);
  EXPECT_EQ(ledger->bytes, static_cast<int64_t>(sizeof(values) + 4 + kColumns * 4 + 256));
  EXPECT_FALSE(ledger->holds_nothing());
  close();
  EXPECT_TRUE(ledger->holds_nothing());
}

TEST_F(SimulatedGpuTest, HasOnlySoMuchMemory) {
  SimulatedOptions options;
  options.memory_bytes = 1 << 20;
  gpu = make_simulated_gpu(options);
  auto most = DeviceBlock::allocate(*gpu, 1 << 20);
  ASSERT_TRUE(most.ok());
  EXPECT_EQ(*gpu->free_memory(), 0u);
  const Status more = DeviceBlock::allocate(*gpu, 1).status();
  EXPECT_EQ(more.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(more.message()), HasSubstr("device gpu0: allocating 1 bytes"));
}

TEST_F(SimulatedGpuTest, RefusedCallsCostThatCallOnly) {
  for (const auto& [faults, message] :
       {std::pair{SimulatedFaults{.launch = 1}, "launching embed"},
        std::pair{SimulatedFaults{.copy = 3}, "a copy from the device"}}) {
    ledger = std::make_shared<SimulatedLedger>();
    open(faults);
    const Status status = look_up();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), HasSubstr("device gpu7"));
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    id() = 1;
    EXPECT_TRUE(put_lookup().ok());
    EXPECT_TRUE(gpu->synchronize(stream.get()).ok());
    EXPECT_EQ(answer(), 1);
    close();
  }
}

TEST_F(SimulatedGpuTest, TheNthAllocationFails) {
  for (int n = 1; n <= 4; ++n) {
    ledger = std::make_shared<SimulatedLedger>();
    open({.allocation = n});
    EXPECT_EQ(prepare().code(), absl::StatusCode::kResourceExhausted) << n;
    EXPECT_EQ(ledger->allocations, n);
    close();
    EXPECT_TRUE(ledger->holds_nothing()) << n;
  }
}

TEST_F(SimulatedGpuTest, AnErrorInAKernelLosesTheDevice) {
  open({.asynchronous = 1});
  const Status status = look_up();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("device gpu7 is lost: embed"));
  EXPECT_EQ(put_lookup(), status);
  EXPECT_EQ(gpu->allocate(16).status(), status);
  EXPECT_EQ(gpu->synchronize(stream.get()), status);
  close();
  EXPECT_TRUE(ledger->holds_nothing());
}

TEST_F(SimulatedGpuTest, ADeviceCanGoAway) {
  open({.lost = 1});
  const Status status = look_up();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(gpu->free_memory().status(), status);
}

TEST_F(SimulatedGpuTest, WhatKernelsDoWrongLosesTheDevice) {
  open({});
  ASSERT_TRUE(prepare().ok());
  out = {};
  auto small = DeviceBlock::allocate(*gpu, 4);  // too small for a row
  ASSERT_TRUE(small.ok());
  out = std::move(*small);
  id() = 0;
  ASSERT_TRUE(put_lookup().ok());
  const Status status = gpu->synchronize(stream.get());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("[simt] embed"));
}

}  // namespace
}  // namespace mokume::cuda
