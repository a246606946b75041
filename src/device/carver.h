// Memory planned before it is there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/checked.h"

namespace mokume {

/// Hands out aligned pieces of one block, one behind the other; without a block it only counts how
/// much the pieces take. Code that takes its pieces from a Carver runs twice: to know the size, and
/// once the block is there.
class Carver {
 public:
  explicit Carver(void* base, uint64_t alignment = 64)
      : base_(static_cast<std::byte*>(base)), alignment_(alignment) {}

  /// `count` elements, not initialized; null when there is no block. Counts saturate.
  template <typename T>
  T* take(uint64_t count) {
    T* piece = base_ ? reinterpret_cast<T*>(base_ + used_) : nullptr;
    const auto bytes = checked_mul(count, sizeof(T));
    const auto end = bytes ? checked_add(used_, *bytes + (alignment_ - 1)) : std::nullopt;
    used_ = end && *bytes < kMost ? *end / alignment_ * alignment_ : kMost;
    return piece;
  }
  uint64_t used() const { return used_; }

 private:
  static constexpr uint64_t kMost = uint64_t{1} << 62;
  std::byte* base_;
  uint64_t alignment_;
  uint64_t used_ = 0;
};

}  // namespace mokume
