#include "device/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace mokume {
namespace {

// How often a waiting thread looks before it goes to sleep: some tens of microseconds.
constexpr int kSpins = 20'000;
constexpr int kMaxChunks = 0xffff;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void pin_to(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

constexpr uint64_t pack(uint32_t region, int begin, int end) {
  return uint64_t{region} << 32 | static_cast<uint64_t>(begin) << 16 | static_cast<uint64_t>(end);
}

}  // namespace

ThreadPool::ThreadPool(int threads, std::vector<int> cores)
    : shares_(static_cast<size_t>(std::max(threads, 1))), cores_(std::move(cores)) {
  for (int i = 1; i < this->threads(); ++i) {
    workers_.emplace_back([this, i] { worker_loop(i); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  region_.fetch_add(1);
  region_.notify_all();
}

void ThreadPool::pin_caller() const {
  if (!cores_.empty()) pin_to(cores_[0]);
}

void ThreadPool::run_region(int items, int grain, Call call, const void* context) {
  grain = std::max(grain, (items + kMaxChunks - 1) / kMaxChunks);
  const int chunks = (items + grain - 1) / grain;
  const uint32_t region = region_.load(std::memory_order_relaxed) + 1;
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  items_.store(items, std::memory_order_relaxed);
  grain_.store(grain, std::memory_order_relaxed);
  chunks_left_.store(chunks, std::memory_order_relaxed);
  const int count = threads();
  for (int i = 0; i < count; ++i) {
    shares_[i].word.store(pack(region, chunks * i / count, chunks * (i + 1) / count),
                          std::memory_order_release);
  }
  region_.store(region, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) > 0) region_.notify_all();

  work(0, region);
  for (int spins = 0; chunks_left_.load(std::memory_order_acquire) > 0; ++spins) {
    spins < kSpins ? relax() : static_cast<void>(sched_yield());
  }
}

void ThreadPool::work(int self, uint32_t region) {
  const Call call = call_.load(std::memory_order_relaxed);
  const void* context = context_.load(std::memory_order_relaxed);
  const int count = threads();
  int chunk;
  while (take(shares_[self], region, true, chunk)) run_chunk(call, context, chunk);
  for (int i = 1; i < count; ++i) {
    Share& other = shares_[(self + i) % count];
    while (take(other, region, false, chunk)) run_chunk(call, context, chunk);
  }
}

// Taking a chunk of `region` proves that the region is still open, and so that what was read of it
// is its own: run_region() does not return before every chunk taken has been done.
bool ThreadPool::take(Share& share, uint32_t region, bool from_front, int& chunk) {
  uint64_t word = share.word.load(std::memory_order_acquire);
  while (true) {
    const int begin = static_cast<int>(word >> 16 & kMaxChunks),
              end = static_cast<int>(word & kMaxChunks);
    if (static_cast<uint32_t>(word >> 32) != region || begin >= end) return false;
    chunk = from_front ? begin : end - 1;
    const uint64_t rest = from_front ? pack(region, begin + 1, end) : pack(region, begin, end - 1);
    if (share.word.compare_exchange_weak(word, rest, std::memory_order_acq_rel)) return true;
  }
}

void ThreadPool::run_chunk(Call call, const void* context, int chunk) {
  const int items = items_.load(std::memory_order_relaxed),
            grain = grain_.load(std::memory_order_relaxed);
  call(context, chunk * grain, std::min(items, (chunk + 1) * grain));
  chunks_left_.fetch_sub(1, std::memory_order_release);
}

void ThreadPool::worker_loop(int self) {
  if (!cores_.empty()) pin_to(cores_[self % cores_.size()]);
  uint32_t region = 0;
  while (true) {
    region = wait_for_region(region);
    if (stopping_.load()) return;
    work(self, region);
  }
}

uint32_t ThreadPool::wait_for_region(uint32_t last) {
  for (int spins = 0; spins < kSpins; ++spins) {
    const uint32_t region = region_.load(std::memory_order_acquire);
    if (region != last) return region;
    relax();
  }
  sleeping_.fetch_add(1, std::memory_order_seq_cst);
  region_.wait(last, std::memory_order_seq_cst);
  sleeping_.fetch_sub(1, std::memory_order_relaxed);
  return region_.load(std::memory_order_acquire);
}

}  // namespace mokume
