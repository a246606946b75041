#include "device/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>

namespace mokume {
namespace {

using std::chrono::microseconds;

constexpr int kMostPieces = 0xffff;
// How long a thread that waits lets a piece rest with the thread that took it.
constexpr microseconds kPatience{15};
// How long a waiting thread looks before it goes to sleep.
constexpr microseconds kSpinTime{200};
constexpr int kSpinsBetweenLooksAtTheClock = 32;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

constexpr uint64_t pack(uint32_t region, int begin, int end) {
  return uint64_t{region} << 32 | static_cast<uint64_t>(begin) << 16 | static_cast<uint64_t>(end);
}

int pieces_of(int items, int grain) { return (items + grain - 1) / grain; }

}  // namespace

ThreadPool::ThreadPool(int threads, std::function<void(int thread)> bind)
    : shares_(static_cast<size_t>(std::max(threads, 1))),
      members_(shares_.size()),
      commits_(kMostCommits),
      bind_(std::move(bind)) {
  for (int i = 1; i < this->threads(); ++i) {
    workers_.emplace_back([this, i] { worker_loop(i); });
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true);
  number_.fetch_add(1);
  number_.notify_all();
}

void ThreadPool::run(std::span<const Op* const> ops) {
  if (ops.empty()) return;
  ops_ = ops;
  open_from(0, 0);
  uint32_t number = number_.load(std::memory_order_acquire);
  while (!between_lists()) {
    work(0, number);
    number = wait_for_region(0, number);
  }
  for (const Member& member : members_) {
    while (member.inside.load(std::memory_order_seq_cst)) sched_yield();
  }
}

// Only run() itself starts a list, so that what it learns here stays true.
bool ThreadPool::between_lists() const {
  const uint32_t number = number_.load(std::memory_order_acquire);
  return regions_[number % 2].op.load(std::memory_order_acquire) < 0;
}

// Opens the next op that there is work for; all other threads wait for that. An op of a single
// piece is done on the way.
void ThreadPool::open_from(int self, int index) {
  for (; index < static_cast<int>(ops_.size()); ++index) {
    const Op& op = *ops_[static_cast<size_t>(index)];
    const int items = op.items();
    if (items <= 0) continue;
    const int most = op.repeatable() ? kMostCommits : kMostPieces;
    const int grain = std::max(op.grain(), pieces_of(items, most));
    if (items > grain && threads() > 1) return publish(index, items, grain);
    op.prepare(self);
    for (int begin = 0; begin < items; begin += grain) {
      const int end = std::min(items, begin + grain);
      op.compute(self, begin, end);
      op.commit(self, begin, end);
    }
  }
  publish(-1, 0, 1);
}

void ThreadPool::publish(int op, int items, int grain) {
  const int pieces = pieces_of(items, grain);
  const uint32_t number = number_.load(std::memory_order_relaxed) + 1;
  PublishedRegion& region = regions_[number % 2];
  region.op.store(op, std::memory_order_release);
  region.items.store(items, std::memory_order_release);
  region.grain.store(grain, std::memory_order_release);
  pieces_left_.store(pieces, std::memory_order_relaxed);
  const int count = threads();
  for (int i = 0; i < count; ++i) {
    shares_[i].word.store(pack(number, pieces * i / count, pieces * (i + 1) / count),
                          std::memory_order_release);
  }
  number_.store(number, std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) > 0) number_.notify_all();
}

// The region, if it is the current one and an op; the list stays as it is until leave(). The number
// is looked at after the rest: had that been written for a later region, so would be the number.
std::optional<ThreadPool::Region> ThreadPool::enter(int self, uint32_t number) {
  members_[self].inside.store(true, std::memory_order_seq_cst);
  const PublishedRegion& published = regions_[number % 2];
  const Region region{number, published.op.load(std::memory_order_acquire),
                      published.items.load(std::memory_order_acquire),
                      published.grain.load(std::memory_order_acquire)};
  if (number_.load(std::memory_order_seq_cst) == number && region.op >= 0) return region;
  return std::nullopt;
}

void ThreadPool::work(int self, uint32_t number) {
  if (const auto region = enter(self, number)) {
    const auto start = Clock::now();
    const int count = threads();
    int pieces = 0, piece;
    for (int i = 0; i < count; ++i) {
      Share& share = shares_[(self + i) % count];
      for (; take(share, number, i == 0, piece); ++pieces) run_piece(self, *region, piece);
    }
    if (pieces > 0) members_[self].piece_time = (Clock::now() - start) / pieces;
  }
  leave(self);
}

// Does the pieces again that others have taken and not committed.
void ThreadPool::work_again(int self, uint32_t number) {
  const auto region = enter(self, number);
  if (region && ops_[static_cast<size_t>(region->op)]->repeatable()) {
    const int pieces = pieces_of(region->items, region->grain);
    const int first = pieces * self / threads();
    for (int i = 0; i < pieces && number_.load(std::memory_order_relaxed) == number; ++i) {
      const int piece = (first + i) % pieces;
      if (commits_[piece].region.load(std::memory_order_relaxed) != number)
        run_piece(self, *region, piece);
    }
  }
  leave(self);
}

// Takes a piece only while the region is open.
bool ThreadPool::take(Share& share, uint32_t number, bool from_front, int& piece) {
  uint64_t word = share.word.load(std::memory_order_acquire);
  while (true) {
    const int begin = static_cast<int>(word >> 16 & kMostPieces),
              end = static_cast<int>(word & kMostPieces);
    if (static_cast<uint32_t>(word >> 32) != number || begin >= end) return false;
    piece = from_front ? begin : end - 1;
    const uint64_t rest = from_front ? pack(number, begin + 1, end) : pack(number, begin, end - 1);
    if (share.word.compare_exchange_weak(word, rest, std::memory_order_acq_rel)) return true;
  }
}

void ThreadPool::run_piece(int self, const Region& region, int piece) {
  const Op& op = *ops_[static_cast<size_t>(region.op)];
  const int begin = piece * region.grain, end = std::min(region.items, begin + region.grain);
  if (members_[self].prepared != region.number) {
    op.prepare(self);
    members_[self].prepared = region.number;
  }
  op.compute(self, begin, end);
  if (op.repeatable() && !win(piece, region.number)) return;
  op.commit(self, begin, end);
  if (pieces_left_.fetch_sub(1, std::memory_order_acq_rel) == 1) open_from(self, region.op + 1);
}

// Whether this thread is the first to have the piece's results, in a region that is still open.
bool ThreadPool::win(int piece, uint32_t number) {
  uint32_t last = commits_[piece].region.load(std::memory_order_relaxed);
  while (static_cast<int32_t>(last - number) < 0) {
    if (commits_[piece].region.compare_exchange_weak(last, number, std::memory_order_acq_rel))
      return true;
  }
  return false;
}

void ThreadPool::worker_loop(int self) {
  if (bind_) bind_(self);
  uint32_t number = 0;
  while (true) {
    number = wait_for_region(self, number);
    if (stopping_.load()) return;
    work(self, number);
  }
}

uint32_t ThreadPool::wait_for_region(int self, uint32_t last) {
  const auto start = Clock::now();
  const auto patience = std::max<Clock::duration>(kPatience, 4 * members_[self].piece_time);
  auto again = start + patience;
  for (int spins = 1;; ++spins) {
    const uint32_t number = number_.load(std::memory_order_acquire);
    if (number != last) return number;
    relax();
    if (spins % kSpinsBetweenLooksAtTheClock != 0) continue;
    const auto now = Clock::now();
    if (now >= again) {
      work_again(self, last);
      again = Clock::now() + patience;
    } else if (now - start >= std::max<Clock::duration>(kSpinTime, 2 * patience)) {
      park(last);
    }
  }
}

void ThreadPool::park(uint32_t last) {
  sleeping_.fetch_add(1, std::memory_order_seq_cst);
  number_.wait(last, std::memory_order_seq_cst);
  sleeping_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace mokume
