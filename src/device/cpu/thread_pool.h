// Threads that work through lists of ops together.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "device/cpu/op.h"

namespace mokume {

/// The pieces of an op are dealt out evenly; each thread takes its own share from the front and
/// then from the tail of the others'. Whoever finishes an op's last piece opens the next op, so
/// that no thread has to be awake for the others to go on; one that the system puts to sleep holds
/// up the one piece that it has taken, and not even that if the piece can be computed again
/// (docs/adr/0020). Waiting threads spin for a moment, then sleep. The thread that calls run() is
/// one of the workers; only one thread may call it at a time.
class ThreadPool {
 public:
  /// Each thread first calls `bind`, where there is one, with its number. The calling thread is
  /// thread 0 and has to bind itself with bind_caller().
  explicit ThreadPool(int threads, std::function<void(int thread)> bind = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Of a repeatable op; with more items a piece has several.
  static constexpr int kMostCommits = 4096;

  int threads() const { return static_cast<int>(shares_.size()); }
  void bind_caller() const {
    if (bind_) bind_(0);
  }

  /// Does the ops one after another. Nothing of `ops` is used any more when it returns. They must
  /// not throw.
  void run(std::span<const Op* const> ops);

  /// Calls body(begin, end) for pieces of at most `grain` items that together are [0, items), on
  /// several threads at once; returns when all have returned. `body` must not throw.
  template <typename Body>
  void run(int items, int grain, const Body& body) {
    if (items <= 0) return;
    if (items <= grain || threads() == 1) return body(0, items);
    const BodyOp<Body> op(items, grain, body);
    const Op* const list[] = {&op};
    run(list);
  }

 private:
  using Clock = std::chrono::steady_clock;

  template <typename Body>
  class BodyOp final : public Op {
   public:
    BodyOp(int items, int grain, const Body& body) : items_(items), grain_(grain), body_(body) {}
    int items() const override { return items_; }
    int grain() const override { return grain_; }
    void compute(int, int begin, int end) const override { body_(begin, end); }

   private:
    const int items_, grain_;
    const Body& body_;
  };

  /// Pieces [begin, end) that one thread still has to do, tagged with the region they belong to so
  /// that a thread that comes late cannot take work of another region: tag << 32 | begin << 16 |
  /// end.
  struct alignas(64) Share {
    std::atomic<uint64_t> word{0};
  };

  /// Region in which a piece was committed last.
  struct alignas(64) Commit {
    std::atomic<uint32_t> region{0};
  };

  struct alignas(64) Member {
    std::atomic<bool> inside{false};  ///< may use the ops
    uint32_t prepared = 0;            ///< region that it has called prepare() for
    Clock::duration piece_time{};     ///< what one of its pieces took lately
  };

  /// What a region is: an op that is being worked on, or the time between two lists.
  struct Region {
    uint32_t number;
    int op;  ///< -1: no list
    int items;
    int grain;
  };
  struct alignas(64) PublishedRegion {
    std::atomic<int> op{-1}, items{0}, grain{1};
  };

  void open_from(int self, int index);
  void publish(int op, int items, int grain);
  bool between_lists() const;
  std::optional<Region> enter(int self, uint32_t number);
  void leave(int self) { members_[self].inside.store(false, std::memory_order_release); }
  void work(int self, uint32_t number);
  void work_again(int self, uint32_t number);
  bool take(Share& share, uint32_t number, bool from_front, int& piece);
  void run_piece(int self, const Region& region, int piece);
  bool win(int piece, uint32_t number);
  void worker_loop(int self);
  uint32_t wait_for_region(int self, uint32_t last);
  void park(uint32_t last);

  std::vector<Share> shares_;
  std::vector<Member> members_;
  std::vector<Commit> commits_;  ///< of pieces, for ops whose pieces may be computed again
  const std::function<void(int thread)> bind_;
  std::span<const Op* const> ops_;
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stopping_{false};
  /// Region n is in [n % 2], so that it can still be read while the next one is written.
  PublishedRegion regions_[2];
  alignas(64) std::atomic<uint32_t> number_{0};  ///< of the current region
  alignas(64) std::atomic<int> pieces_left_{0};
  std::vector<std::jthread> workers_;
};

}  // namespace mokume
