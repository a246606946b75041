// A file that appears whole or not at all, and a directory of such files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace mokume {

/// Lies under a temporary name beside its target until finish() gives it its own; destroyed before
/// that, it removes what it wrote. Only a process that is killed leaves the temporary file
/// (TARGET.PID-N.part). Errors of the disk name the target: ResourceExhausted when it is full or
/// the file would be larger than allowed (EFBIG; a process that wants to see that one ignores
/// SIGXFSZ).
class OutputFile {
 public:
  /// A file of `size` bytes, whose place on the disk is taken at once where the file system can: a
  /// full disk is found before the work. What is never written reads as zeros.
  static Result<OutputFile> create(const std::string& path, uint64_t size);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  /// Ranges lie inside [0, size). May be called from several threads.
  Status write(uint64_t offset, std::span<const std::byte> bytes) const;

  /// Brings everything to the disk and renames; a file that had the name is replaced. Once.
  Status finish();

  const std::string& path() const { return path_; }

 private:
  OutputFile(std::string path, std::string temporary, uint64_t size)
      : path_(std::move(path)), temporary_(std::move(temporary)), size_(size) {}

  std::string path_;
  std::string temporary_;
  uint64_t size_ = 0;
  int fd_ = -1;
};

/// A small file in one call.
Status write_whole_file(const std::string& path, std::string_view text);

/// A new directory, as OutputFile is a new file.
class OutputDirectory {
 public:
  /// AlreadyExists when there is something at `path`, other than an empty directory.
  static Result<OutputDirectory> create(const std::string& path);
  OutputDirectory(OutputDirectory&& other) noexcept;
  OutputDirectory& operator=(OutputDirectory&&) = delete;
  ~OutputDirectory();

  /// Where to put the files until finish().
  const std::string& path() const { return temporary_; }

  /// Gives it its name. Once, after everything inside has been finished.
  Status finish();

 private:
  OutputDirectory(std::string path, std::string temporary)
      : path_(std::move(path)), temporary_(std::move(temporary)) {}

  std::string path_;
  std::string temporary_;
};

}  // namespace mokume
