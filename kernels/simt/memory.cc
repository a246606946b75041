#include "kernels/simt/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace mokume::simt {
namespace {

// Pages of zeros that cost nothing until they are touched.
void* map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void unmap(void* memory, size_t bytes) {
  if (memory) munmap(memory, bytes);
}

void release(Region& region) {
  unmap(region.base, region.bytes);
  unmap(region.initialized, region.bytes);
  unmap(region.writers, region.bytes * sizeof(uint32_t));
  unmap(region.threads, region.bytes * sizeof(uint16_t));
}

}  // namespace

Memory::~Memory() {
  for (auto& [address, region] : regions_) release(*region);
}

void* Memory::allocate(size_t bytes) {
  auto region = std::make_unique<Region>();
  region->bytes = std::max<size_t>(bytes, 1);
  if (region->bytes > PTRDIFF_MAX / 8) return nullptr;
  region->base = static_cast<uint8_t*>(map(region->bytes));
  region->initialized = static_cast<uint8_t*>(map(region->bytes));
  region->writers = static_cast<uint32_t*>(map(region->bytes * sizeof(uint32_t)));
  region->threads = static_cast<uint16_t*>(map(region->bytes * sizeof(uint16_t)));
  if (!region->base || !region->initialized || !region->writers || !region->threads) {
    release(*region);
    return nullptr;
  }
  void* const base = region->base;
  const std::lock_guard lock(mutex_);
  allocated_ += region->bytes;
  regions_[reinterpret_cast<uintptr_t>(base)] = std::move(region);
  return base;
}

bool Memory::free(void* pointer) {
  const std::lock_guard lock(mutex_);
  const auto found = regions_.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == regions_.end()) return false;
  allocated_ -= found->second->bytes;
  release(*found->second);
  regions_.erase(found);
  return true;
}

const Region* Memory::find_locked(const void* address) const {
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto after = regions_.upper_bound(at);
  if (after == regions_.begin()) return nullptr;
  const Region& region = *std::prev(after)->second;
  return at - reinterpret_cast<uintptr_t>(region.base) <= region.bytes ? &region : nullptr;
}

const Region* Memory::find(const void* address) const {
  const std::lock_guard lock(mutex_);
  return find_locked(address);
}

bool Memory::holds(const void* address, size_t bytes) const {
  const std::lock_guard lock(mutex_);
  const Region* region = find_locked(address);
  if (!region) return false;
  const auto offset = static_cast<size_t>(static_cast<const uint8_t*>(address) - region->base);
  return bytes <= region->bytes - offset;
}

bool Memory::mark(const void* address, size_t bytes, bool initialized) {
  if (!holds(address, bytes)) return false;
  const Region* region = find(address);
  const auto offset = static_cast<size_t>(static_cast<const uint8_t*>(address) - region->base);
  std::memset(region->initialized + offset, initialized ? 1 : 0, bytes);
  return true;
}

bool Memory::written(const void* address, size_t bytes) const {
  if (!holds(address, bytes)) return false;
  const Region* region = find(address);
  const uint8_t* marks =
      region->initialized + (static_cast<const uint8_t*>(address) - region->base);
  return bytes == 0 || std::memchr(marks, 0, bytes) == nullptr;
}

size_t Memory::allocations() const {
  const std::lock_guard lock(mutex_);
  return regions_.size();
}

size_t Memory::allocated_bytes() const {
  const std::lock_guard lock(mutex_);
  return allocated_;
}

}  // namespace mokume::simt
