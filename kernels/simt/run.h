// One launch in progress. Internal to the executor.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/simt/executor.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/races.h"
#include "kernels/simt/thread.h"

namespace mokume::simt {

enum class Wait : uint8_t { kNone, kExchange, kWarp, kBlock, kDone };

struct PendingCopy {
  const Region* to_region = nullptr;
  void* to = nullptr;
  const void* from = nullptr;
  uint32_t bytes = 0;
  uint32_t group = 0;
  const void* site = nullptr;
};

struct Thread {
  ThreadIndex index;
  Fiber* fiber = nullptr;
  Wait wait = Wait::kNone;
  int line = 0;
  uint32_t collectives = 0;  // passed or waited at, of the warp and of the block
  bool ordered = false;      // has waited for the kernel before
  std::vector<PendingCopy> copies;
  uint32_t copy_groups = 0;  // committed
};

struct Warp {
  uint32_t epoch = 0;        // barriers passed
  uint32_t first_epoch = 0;  // when the block's last barrier was passed
  WarpTrace trace;
  Payload payloads[2][kLanes];  // of the last two exchanges
};

/// What an Executor keeps between launches.
struct Executor::Pool {
  Pool();
  FiberStacks stacks;
  std::deque<Fiber> fibers;
  std::vector<Warp> warps;
  std::vector<uint8_t> shared, shared_initialized;
  SharedRaces races;
};

struct Run {
  Run(Executor& executor, const Launch& launch);
  bool all_blocks();

  // Of the thread that runs.
  [[noreturn]] void stop(const char* text);
  const Region* find(const void* pointer);
  const Region* shared_array(const void* tag, size_t bytes);
  void access(const Region* region, const void* address, uint32_t bytes, bool write, bool atomic,
              const void* site);
  void wait(Wait wait, int line);

  Executor& executor;
  Executor::Pool& pool;
  const Launch& launch;
  std::vector<Thread> threads;
  Thread* running = nullptr;
  Counters counters;
  bool failed = false;
  Region dynamic;

 private:
  bool check_sizes();
  bool one_block(Dim block);
  bool run_warp(size_t warp);
  bool settle_warp(size_t warp);
  bool settle_block();
  void begin_interval();
  void refuse(const char* text);
  void check_shared(const Region& region, size_t offset, uint32_t bytes, bool write, bool atomic);
  void check_global(const Region& region, size_t offset, uint32_t bytes, bool write, bool atomic);
  std::vector<size_t> order_of(size_t count);
  static void enter(void* run);

  struct Found {
    const void* pointer = nullptr;
    const Region* region = nullptr;
  };
  std::vector<Found> found_;  // regions of pointers, by the pointer's hash
  std::unordered_map<const void*, Region> arrays_;
  size_t shared_used_ = 0;
  uint32_t first_interval_ = 0;  // of the launch
  uint32_t block_interval_ = 0;  // the first of the block that runs
};

}  // namespace mokume::simt
