// A simulated thread, as the code that it runs sees itself: what pointer.h and intrinsics.h are
// made of. Only to be called inside Executor::run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/simt/executor.h"

namespace mokume::simt {

struct ThreadIndex {
  unsigned thread = 0;  ///< in its block
  unsigned threads = 0;
  Dim block, grid;
};
extern thread_local const ThreadIndex* current_index;

/// Most bytes of an exchange, a lane.
inline constexpr size_t kMaxPayload = 64;
struct Payload {
  alignas(16) unsigned char bytes[kMaxPayload];
};

/// Ends the launch with this text and where it happened.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

/// The allocation that `pointer` lies in; null when in none.
const Region* find_region(const void* pointer);
/// The block's array that is declared at `tag`.
const Region* shared_array(const void* tag, size_t bytes);
/// The block's dynamic shared memory.
const Region* dynamic_shared();

// Called by accesses that are inlined into the kernel: the return address says which.
[[gnu::noinline]] void on_read(const Region* region, const void* address, uint32_t bytes);
[[gnu::noinline]] void on_write(const Region* region, void* address, uint32_t bytes);
[[gnu::noinline]] void on_atomic(const Region* region, void* address, uint32_t bytes);

/// Waits for all threads of the block.
void block_barrier(int line);
/// Waits for all lanes of the warp, and orders their accesses to shared memory.
void warp_barrier(int line);
/// Waits for all lanes of the warp; returns what each passed, [32], until the next collective.
const Payload* exchange(const void* payload, size_t bytes, int line);
/// The lane's asynchronous copies into shared memory: they arrive when they are waited for, all but
/// those of the last `left` groups that were committed.
[[gnu::noinline]] void copy_async(const Region* to_region, void* to, const Region* from_region,
                                  const void* from, uint32_t bytes);
void commit_copies();
void wait_copies(uint32_t left);
/// The kernel before has ended.
void previous_ended();

}  // namespace mokume::simt
