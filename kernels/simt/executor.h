// Runs the CUDA kernels' sources, compiled by the host compiler, on one CPU thread.
//
// Blocks run one after the other; the threads of a block are fibers, which run one after the other
// up to their next collective (a barrier, a shuffle). Reported as errors: accesses outside an
// allocation or shared array, of bytes never written or not aligned to their size; races in shared
// memory between two barriers; one byte of an allocation written by two blocks, or by two threads
// between barriers; collectives that not all threads of their warp or block reach, or reach at
// different lines; a kernel that writes before, or ends without, waiting for the kernel before it
// (see wait_for_previous in kernels/cuda/portable.cuh).
// Not seen: a block's write after another's read, and an order of blocks that a kernel relies on
// beyond the three that lanes and blocks are run in.
//
// Not for speed, nor for kernels that spin on another block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kernels/simt/counters.h"
#include "kernels/simt/memory.h"

namespace mokume::simt {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

/// Of a block: what every GPU that mokume is built for allows.
inline constexpr unsigned kMaxThreads = 1024;
inline constexpr size_t kMaxSharedBytes = 99 * 1024;

struct Launch {
  const char* name = "";  ///< of the kernel; a literal
  Dim grid;
  unsigned threads = 0;  ///< of a block, a multiple of 32
  size_t shared_bytes = 0;
  std::function<void()> body;  ///< what each thread runs; holds plain data only
};

/// What a simulated stream is to the kernels' launch functions: Stream::handle points to one.
class Queue {
 public:
  virtual ~Queue() = default;
  /// 0, or an error number that the launch function passes on.
  virtual int submit(const Launch& launch) = 0;
};

/// The order that lanes of a warp, warps of a block and blocks run in.
enum class Order : uint8_t { kForward, kReverse, kRandom };

struct ExecutorOptions {
  Order order = Order::kForward;
  uint64_t seed = 1;  ///< of kRandom
  bool check = true;  ///< bytes never written, races, writes of two blocks
  bool count = true;  ///< counters()
};

/// One thread at a time may use it.
class Executor {
 public:
  explicit Executor(Memory& memory, ExecutorOptions options = {});
  ~Executor();

  /// False when it found a fault; error() says which. What the kernel wrote until then stays.
  bool run(const Launch& launch);
  const std::string& error() const { return error_; }

  /// By the kernels' names.
  const std::map<std::string, Counters>& counters() const { return counters_; }
  /// All of them together.
  Counters total() const;
  /// Forgets them, and what the L2 holds.
  void reset_counters();
  /// What is read and written of these bytes is counted apart as well (Counters::watched_bytes).
  void watch(const void* begin, size_t bytes);

 private:
  friend struct Run;
  struct Pool;  // fibers, kept between launches

  Memory& memory_;
  const ExecutorOptions options_;
  std::unique_ptr<Pool> pool_;
  std::string error_;
  std::map<std::string, Counters> counters_;
  L2 l2_;
  uint32_t interval_ = 0;  // from one barrier of a block to the next, counted over all launches
  uint64_t random_state_ = 0;
};

/// Runs what is submitted at once and keeps the first fault's text.
class ImmediateQueue : public Queue {
 public:
  explicit ImmediateQueue(Executor& executor) : executor_(executor) {}
  int submit(const Launch& launch) override;
  const std::string& error() const { return error_; }

 private:
  Executor& executor_;
  std::string error_;
};

}  // namespace mokume::simt
