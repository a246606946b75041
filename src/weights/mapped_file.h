// A file, mapped read-only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"

namespace mokume {

/// Non-goal: a file that another process shortens while it is mapped; touching the lost pages is
/// SIGBUS, as with every mapping. Replace model files by renaming, never by writing into them.
class MappedFile {
 public:
  /// NotFound when there is none, InvalidArgument for what is no regular file or is empty.
  static Result<std::unique_ptr<MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }

  /// Lets go of the whole pages inside `part`; they are read from the file again when touched. A
  /// part that is not of this mapping is left alone.
  void release(std::span<const std::byte> part) const;

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace mokume
