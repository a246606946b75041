// Memory of the CPU device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/status.h"

namespace mokume {

/// Zeroed, page-aligned memory straight from the system; pages that are never touched take no room.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Buffer();

  /// Large pages cost fewer misses of the translation buffers; small ones let scattered pieces of a
  /// buffer take no more room than they have. ResourceExhausted when the system refuses.
  enum class Pages { kLarge, kSmall };
  static Result<Buffer> allocate(uint64_t bytes, Pages pages = Pages::kLarge);

  uint64_t bytes() const { return bytes_; }
  template <typename T = uint8_t>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

/// Bytes that can still be used before the system has to kill somebody: the smaller of what the
/// kernel calls available and what is left under the control group's limit.
uint64_t available_memory();

}  // namespace mokume
