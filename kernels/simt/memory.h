// The simulated device's memory: what is allocated, and which of its bytes were ever written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

namespace mokume::simt {

/// A piece of memory that a pointer may move in: an allocation, or an array in shared memory.
struct Region {
  uint8_t* base = nullptr;
  size_t bytes = 0;
  uint8_t* initialized = nullptr;  ///< [bytes]: 1 where it was written
  uint32_t* writers = nullptr;     ///< [bytes], of an allocation: in which interval it was written
  uint16_t* threads = nullptr;     ///< [bytes], and by which thread of the block
  int64_t shared_offset = -1;      ///< of an array in its block's shared memory; -1: an allocation
  bool shared() const { return shared_offset >= 0; }
};

/// Thread-safe, but for what the bytes hold. Everything is host memory that the host may also touch
/// directly; what it writes that way is not known to be written.
class Memory {
 public:
  Memory() = default;
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// 256-byte aligned; null when the host has not enough. 0 bytes become 1.
  void* allocate(size_t bytes);
  /// False when `pointer` is not the beginning of an allocation.
  bool free(void* pointer);

  /// The allocation that holds `address` (or ends just before it); null when none does.
  const Region* find(const void* address) const;
  /// Whether [address, address + bytes) lies in one allocation.
  bool holds(const void* address, size_t bytes) const;
  /// Marks bytes as written (after a copy from the host) or as never written. False when they are
  /// not in one allocation.
  bool mark(const void* address, size_t bytes, bool initialized);
  /// Whether all of the bytes were written.
  bool written(const void* address, size_t bytes) const;

  size_t allocations() const;
  size_t allocated_bytes() const;

 private:
  const Region* find_locked(const void* address) const;
  mutable std::mutex mutex_;
  std::map<uintptr_t, std::unique_ptr<Region>> regions_;  // by address
  size_t allocated_ = 0;
};

}  // namespace mokume::simt
