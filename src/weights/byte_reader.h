// Reads little-endian values from bytes that nobody vouches for.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mokume {

/// Every read is checked against the end; an error names the byte and the file. Borrows bytes and
/// path.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string_view path)
      : bytes_(bytes), path_(path) {}

  /// A number, as it lies in memory (little-endian hosts only). `what` is for the message:
  /// "version".
  template <typename T>
  Result<T> number(std::string_view what) {
    MKM_RETURN_IF_ERROR(need(sizeof(T), what));
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }

  /// A string with its length as u64 in front; at most `max_bytes` long.
  Result<std::string> string(uint64_t max_bytes, std::string_view what);

  /// A string() that is not empty and of printable ASCII only, so that it may stand in messages.
  Result<std::string> identifier(uint64_t max_bytes, std::string_view what);

  /// A count (u64) of things that take at least `min_bytes` each: no more than the rest of the file
  /// can hold.
  Result<uint64_t> count(uint64_t min_bytes, std::string_view what);

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return bytes_.size() - position_; }
  /// "(model.gguf, byte 24)"
  std::string where() const { return where(position_); }
  std::string where(uint64_t position) const;

 private:
  Status need(uint64_t bytes, std::string_view what) const;

  std::span<const std::byte> bytes_;
  std::string_view path_;
  uint64_t position_ = 0;
};

}  // namespace mokume
