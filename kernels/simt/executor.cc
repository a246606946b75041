#include "kernels/simt/executor.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "kernels/simt/run.h"

namespace mokume::simt {
namespace {

constexpr size_t kStackBytes = size_t{128} << 10;
constexpr size_t kFoundSlots = 256;

// xorshift64* (Vigna 2016): orders need no more.
uint64_t next_random(uint64_t& state) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1dULL;
}

const char* name_of(Wait wait) {
  switch (wait) {
    case Wait::kExchange:
      return "a shuffle";
    case Wait::kWarp:
      return "a barrier of its warp";
    case Wait::kBlock:
      return "a barrier of its block";
    default:
      return "its end";
  }
}

}  // namespace

Executor::Pool::Pool()
    : stacks(kMaxThreads, kStackBytes),
      warps(kMaxThreads / kLanes),
      shared(kMaxSharedBytes + 16),
      shared_initialized(kMaxSharedBytes + 16) {
  for (unsigned i = 0; stacks.valid() && i < kMaxThreads; ++i) {
    fibers.emplace_back(stacks.stack(static_cast<int>(i)), kStackBytes);
  }
}

Executor::Executor(Memory& memory, ExecutorOptions options)
    : memory_(memory),
      options_(options),
      pool_(std::make_unique<Pool>()),
      random_state_(options.seed | 1) {}

Executor::~Executor() = default;

bool Executor::run(const Launch& launch) {
  error_.clear();
  Run run(*this, launch);
  const bool ok = run.all_blocks();
  run.counters.launches = 1;
  if (options_.count) counters_[launch.name].add(run.counters);
  return ok;
}

Counters Executor::total() const {
  Counters sum;
  for (const auto& [name, counters] : counters_) sum.add(counters);
  return sum;
}

void Executor::reset_counters() {
  counters_.clear();
  l2_.clear();
}

void Executor::watch(const void* begin, size_t bytes) {
  const auto address = reinterpret_cast<uintptr_t>(begin);
  l2_.watch(address / kSectorBytes, (address + bytes) / kSectorBytes);
}

int ImmediateQueue::submit(const Launch& launch) {
  if (executor_.run(launch)) return 0;
  if (error_.empty()) error_ = executor_.error();
  return 1;
}

Run::Run(Executor& executor_in, const Launch& launch_in)
    : executor(executor_in), pool(*executor_in.pool_), launch(launch_in), found_(kFoundSlots) {}

void Run::refuse(const char* text) {
  executor.error_ = std::string("[simt] ") + launch.name + ": " + text;
  failed = true;
}

bool Run::check_sizes() {
  const Dim grid = launch.grid;
  if (pool.fibers.empty()) {
    refuse("no memory for stacks");
  } else if (launch.threads == 0 || launch.threads > kMaxThreads || launch.threads % kLanes) {
    refuse("threads of a block must be a multiple of 32, at most 1024");
  } else if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 ||
             grid.z > 65535) {
    refuse("a grid is 1..2^31-1 blocks wide, 1..65535 high and deep");
  } else if (launch.shared_bytes > kMaxSharedBytes) {
    refuse("more shared memory than every GPU has");
  }
  return !failed;
}

std::vector<size_t> Run::order_of(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  if (executor.options_.order == Order::kReverse) std::reverse(order.begin(), order.end());
  if (executor.options_.order == Order::kRandom) {
    for (size_t i = count; i > 1; --i) {
      std::swap(order[i - 1], order[next_random(executor.random_state_) % i]);
    }
  }
  return order;
}

bool Run::all_blocks() {
  if (!check_sizes()) return false;
  threads.resize(launch.threads);
  for (unsigned i = 0; i < launch.threads; ++i) {
    threads[i].index = {i, launch.threads, {}, launch.grid};
    threads[i].fiber = &pool.fibers[i];
  }
  shared_used_ = (launch.shared_bytes + 15) / 16 * 16;
  std::fill(pool.shared_initialized.begin(), pool.shared_initialized.end(), 0);
  dynamic.base =
      pool.shared.data() + (16 - reinterpret_cast<uintptr_t>(pool.shared.data()) % 16) % 16;
  dynamic.bytes = launch.shared_bytes;
  dynamic.initialized = pool.shared_initialized.data();
  dynamic.shared_offset = 0;
  const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  first_interval_ = executor.interval_ + 1;
  for (const size_t number : order_of(blocks)) {
    const auto x = static_cast<unsigned>(number % launch.grid.x);
    const auto y = static_cast<unsigned>(number / launch.grid.x % launch.grid.y);
    const auto z = static_cast<unsigned>(number / launch.grid.x / launch.grid.y);
    if (!one_block({x, y, z})) break;
  }
  current_index = nullptr;
  counters.shared_bytes = shared_used_;
  for (Warp& warp : pool.warps) warp.trace.flush(executor.l2_, counters);  // of a block that failed
  return !failed;
}

// Of all threads of the block, from one barrier to the next.
void Run::begin_interval() {
  ++executor.interval_;
  pool.races.begin_interval(kMaxSharedBytes);
  for (size_t w = 0; w < threads.size() / kLanes; ++w) {
    pool.warps[w].first_epoch = ++pool.warps[w].epoch;
  }
}

bool Run::one_block(Dim block) {
  ++counters.blocks;
  std::fill_n(pool.shared_initialized.begin(), shared_used_, 0);
  begin_interval();
  block_interval_ = executor.interval_;
  for (Thread& thread : threads) {
    thread.index.block = block;
    thread.wait = Wait::kNone;
    thread.collectives = 0;
    thread.ordered = false;
    thread.copies.clear();
    thread.copy_groups = 0;
    thread.fiber->begin(&Run::enter, this);
  }
  for (;;) {
    for (const size_t warp : order_of(threads.size() / kLanes)) {
      if (!run_warp(warp)) return false;
    }
    if (std::all_of(threads.begin(), threads.end(),
                    [](const Thread& t) { return t.wait == Wait::kDone; })) {
      return true;
    }
    if (!settle_block()) return false;
  }
}

// Until all of its lanes wait for the block or have ended.
bool Run::run_warp(size_t warp) {
  Thread* const lanes = &threads[warp * kLanes];
  for (;;) {
    for (const size_t lane : order_of(kLanes)) {
      Thread& thread = lanes[lane];
      if (thread.wait != Wait::kNone) continue;
      running = &thread;
      current_index = &thread.index;
      thread.fiber->enter();
      if (failed) return false;
    }
    if (executor.options_.count) pool.warps[warp].trace.flush(executor.l2_, counters);
    if (!settle_warp(warp)) return false;
    if (lanes[0].wait != Wait::kNone) return true;
  }
}

// All lanes wait or have ended: they must be at the same place.
bool Run::settle_warp(size_t warp) {
  Thread* const lanes = &threads[warp * kLanes];
  for (int i = 1; i < kLanes; ++i) {
    const Thread &a = lanes[0], &b = lanes[i];
    if (a.wait == b.wait &&
        (a.wait == Wait::kDone || (a.line == b.line && a.collectives == b.collectives))) {
      continue;
    }
    running = &lanes[i];
    char text[200];
    std::snprintf(
        text, sizeof(text),
        "diverged: a thread is at %s (line %d), while lane 0 of its warp is at %s (line %d)",
        name_of(b.wait), b.line, name_of(a.wait), a.line);
    std::string where = text;
    std::snprintf(text, sizeof(text), "; block %u,%u,%u thread %u", b.index.block.x,
                  b.index.block.y, b.index.block.z, b.index.thread);
    refuse((where + text).c_str());
    return false;
  }
  if (lanes[0].wait == Wait::kExchange || lanes[0].wait == Wait::kWarp) {
    ++counters.warp_collectives;
    if (lanes[0].wait == Wait::kWarp) ++pool.warps[warp].epoch;
    for (int i = 0; i < kLanes; ++i) lanes[i].wait = Wait::kNone;
  }
  return true;
}

// All warps wait for the block or have ended: all must wait, at one barrier.
bool Run::settle_block() {
  const Thread& first = threads[0];
  for (const Thread& thread : threads) {
    if (thread.wait == first.wait && thread.line == first.line) continue;
    char text[200];
    std::snprintf(text, sizeof(text),
                  "diverged: a thread is at %s (line %d), while thread 0 of its block is at %s "
                  "(line %d); block %u,%u,%u thread %u",
                  name_of(thread.wait), thread.line, name_of(first.wait), first.line,
                  thread.index.block.x, thread.index.block.y, thread.index.block.z,
                  thread.index.thread);
    refuse(text);
    return false;
  }
  ++counters.block_barriers;
  begin_interval();
  for (Thread& thread : threads) thread.wait = Wait::kNone;
  return true;
}

}  // namespace mokume::simt
