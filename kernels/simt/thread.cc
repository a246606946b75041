// What a simulated thread calls: accesses, collectives, its end.
#include "kernels/simt/thread.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "kernels/simt/run.h"

namespace mokume::simt {

thread_local const ThreadIndex* current_index = nullptr;

namespace {

// Set around all that a fiber does.
thread_local Run* current_run = nullptr;

}  // namespace

void fail(const char* format, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  current_run->stop(text);
}

const Region* find_region(const void* pointer) { return current_run->find(pointer); }
const Region* shared_array(const void* tag, size_t bytes) {
  return current_run->shared_array(tag, bytes);
}
const Region* dynamic_shared() { return &current_run->dynamic; }

void on_read(const Region* region, const void* address, uint32_t bytes) {
  current_run->access(region, address, bytes, false, false, __builtin_return_address(0));
}
void on_write(const Region* region, void* address, uint32_t bytes) {
  current_run->access(region, address, bytes, true, false, __builtin_return_address(0));
}
void on_atomic(const Region* region, void* address, uint32_t bytes) {
  current_run->access(region, address, bytes, true, true, __builtin_return_address(0));
}

void block_barrier(int line) { current_run->wait(Wait::kBlock, line); }
void warp_barrier(int line) { current_run->wait(Wait::kWarp, line); }
void previous_ended() { current_run->running->ordered = true; }

void copy_async(const Region* to_region, void* to, const Region* from_region, const void* from,
                uint32_t bytes) {
  Thread& thread = *current_run->running;
  const void* const site = __builtin_return_address(0);
  current_run->access(from_region, from, bytes, false, false, site);
  // One call makes two accesses: the write's site is one byte further, where no other call returns.
  thread.copies.push_back(
      {to_region, to, from, bytes, thread.copy_groups, static_cast<const char*>(site) + 1});
}

void commit_copies() { ++current_run->running->copy_groups; }

void wait_copies(uint32_t left) {
  Thread& thread = *current_run->running;
  std::erase_if(thread.copies, [&](const PendingCopy& copy) {
    if (copy.group + left >= thread.copy_groups) return false;
    current_run->access(copy.to_region, copy.to, copy.bytes, true, false, copy.site);
    std::memcpy(copy.to, copy.from, copy.bytes);
    return true;
  });
}

const Payload* exchange(const void* payload, size_t bytes, int line) {
  Run& run = *current_run;
  Thread& thread = *run.running;
  const unsigned lane = thread.index.thread % kLanes;
  // A lane may go on to the next exchange while others still read this one; it cannot complete that
  // before they have come, so two sets of payloads are enough.
  Payload* const all =
      run.pool.warps[thread.index.thread / kLanes].payloads[thread.collectives % 2];
  std::memcpy(all[lane].bytes, payload, bytes);
  run.wait(Wait::kExchange, line);
  return all;
}

void Run::enter(void* argument) {
  Run& run = *static_cast<Run*>(argument);
  current_run = &run;
  run.launch.body();
  Thread& thread = *run.running;
  if (!thread.ordered) run.stop("ends without waiting for the kernel before it");
  thread.wait = Wait::kDone;
  thread.line = 0;
  thread.fiber->leave();
}

void Run::stop(const char* text) {
  const ThreadIndex& at = running->index;
  char where[100];
  std::snprintf(where, sizeof(where), "; block %u,%u,%u thread %u", at.block.x, at.block.y,
                at.block.z, at.thread);
  executor.error_ = std::string("[simt] ") + launch.name + ": " + text + where;
  failed = true;
  running->fiber->leave();
  __builtin_trap();
}

void Run::wait(Wait wait, int line) {
  Thread& thread = *running;
  thread.wait = wait;
  thread.line = line;
  ++thread.collectives;
  thread.fiber->leave();
}

const Region* Run::find(const void* pointer) {
  if (!pointer) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  Found& found = found_[(address * 0x9e3779b97f4a7c15u >> 32) % found_.size()];
  if (found.pointer != pointer) found = {pointer, executor.memory_.find(pointer)};
  return found.region;
}

const Region* Run::shared_array(const void* tag, size_t bytes) {
  const auto found = arrays_.find(tag);
  if (found != arrays_.end()) return &found->second;
  if (shared_used_ + bytes > kMaxSharedBytes) stop("more shared memory than every GPU has");
  Region region = dynamic;
  region.base += shared_used_;
  region.initialized += shared_used_;
  region.shared_offset = static_cast<int64_t>(shared_used_);
  region.bytes = bytes;
  shared_used_ += (bytes + 15) / 16 * 16;
  return &arrays_.emplace(tag, region).first->second;
}

void Run::check_shared(const Region& region, size_t offset, uint32_t bytes, bool write,
                       bool atomic) {
  const auto thread = static_cast<uint16_t>(running->index.thread);
  int other = 0;
  const char* what =
      pool.races.touch(static_cast<size_t>(region.shared_offset) + offset, bytes, write,
                       {thread, pool.warps[thread / kLanes].epoch, atomic}, &other);
  if (what) {
    fail(
        "a race in shared memory: thread %d %s byte %zu of an array of %zu, which was %s thread %d",
        thread, write ? "writes" : "reads", offset, region.bytes, what, other);
  }
}

void Run::check_global(const Region& region, size_t offset, uint32_t bytes, bool write,
                       bool atomic) {
  if (!running->ordered) {
    if (write) fail("writes before it waits for the kernel before it");
    // The kernel before may have been let go on in turn before the one that writes this has ended.
    const uint32_t* const writers = region.writers + offset;
    if (std::any_of(writers, writers + bytes, [](uint32_t interval) { return interval != 0; })) {
      fail(
          "reads bytes at %zu of a buffer of %zu, which a kernel wrote, before it waits for the "
          "kernel before it",
          offset, region.bytes);
    }
  }
  if (!write) return;
  if (atomic) return;
  const auto thread = static_cast<uint16_t>(running->index.thread);
  const Warp& warp = pool.warps[thread / kLanes];
  for (size_t at = offset; at < offset + bytes; ++at) {
    uint32_t& interval = region.writers[at];
    uint16_t& writer = region.threads[at];
    if (interval >= first_interval_ && interval < block_interval_) {
      fail("a race: two blocks write byte %zu of a buffer of %zu", at, region.bytes);
    }
    const bool ordered =
        writer == thread || (writer / kLanes == thread / kLanes && warp.epoch > warp.first_epoch);
    if (interval == executor.interval_ && !ordered) {
      fail("a race: threads %d and %d write byte %zu of a buffer of %zu", writer, thread, at,
           region.bytes);
    }
    interval = executor.interval_;
    writer = thread;
  }
}

void Run::access(const Region* region, const void* address, uint32_t bytes, bool write, bool atomic,
                 const void* site) {
  const char* const verb = write ? "writes" : "reads";
  if (!region) fail("%s %u bytes at %p, where nothing is allocated", verb, bytes, address);
  const auto offset = static_cast<const uint8_t*>(address) - region->base;
  if (offset < 0 || static_cast<size_t>(offset) + bytes > region->bytes) {
    fail("out of bounds: %s %u bytes at %td of %s of %zu", verb, bytes, offset,
         region->shared() ? "a shared array" : "a buffer", region->bytes);
  }
  if (reinterpret_cast<uintptr_t>(address) % bytes) {
    fail("misaligned: %s %u bytes at %td of a buffer", verb, bytes, offset);
  }
  const auto at = static_cast<size_t>(offset);
  if (executor.options_.check) {
    if ((!write || atomic) && std::memchr(region->initialized + at, 0, bytes)) {
      fail("uninitialized: %s %u bytes at %td of %s of %zu that were never written", verb, bytes,
           offset, region->shared() ? "a shared array" : "a buffer", region->bytes);
    }
    region->shared() ? check_shared(*region, at, bytes, write, atomic)
                     : check_global(*region, at, bytes, write, atomic);
  }
  if (write) std::memset(region->initialized + at, 1, bytes);
  if (executor.options_.count) {
    const unsigned thread = running->index.thread;
    const uint64_t where = region->shared() ? static_cast<uint64_t>(region->shared_offset) + at
                                            : reinterpret_cast<uintptr_t>(address);
    pool.warps[thread / kLanes].trace.add(static_cast<int>(thread % kLanes),
                                          {site, where, bytes, write, region->shared()});
  }
}

}  // namespace mokume::simt
