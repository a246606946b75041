#include "weights/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/checked.h"

namespace mokume {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 62;  // off_t holds it

Status disk_error(std::string_view what, int error, const std::string& path) {
  const std::string message = std::generic_category().message(error);
  if (error == ENOSPC || error == EFBIG || error == EDQUOT) {
    return resource_exhausted("weights", what, ": ", message, " (", path, ")");
  }
  return invalid_argument("weights", what, ": ", message, " (", path, ")");
}

/// A name of nobody else's, beside `path`.
std::string temporary_name(const std::string& path) {
  static std::atomic<unsigned> number{0};
  return str_cat(path, ".", ::getpid(), "-", number.fetch_add(1), ".part");
}

/// Without a slash at its end, which would put temporary names inside the directory.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

/// Makes a rename last. Some file systems refuse; nothing better can be done there.
void sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void sync_parent(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  sync_directory(parent.empty() ? "." : parent);
}

/// Compares with what is free, so that nobody else's last place is taken for a file that cannot
/// fit.
Status check_free(int fd, uint64_t size, const std::string& path) {
  struct statvfs info {};
  // Some file systems have no bound and report no blocks at all.
  if (::fstatvfs(fd, &info) != 0 || info.f_blocks == 0) return absl::OkStatus();
  const uint64_t free = checked_mul(info.f_bavail, info.f_frsize).value_or(UINT64_MAX);
  if (size <= free) return absl::OkStatus();
  return resource_exhausted("weights", "no place for ", size, " bytes: the disk has ", free,
                            " bytes left (", path, ")");
}

/// Takes `size` bytes of the disk; errno, or 0. File systems without fallocate() get the length
/// alone.
int reserve(int fd, uint64_t size) {
  if (size == 0) return 0;
  int error = 0;
  do {
    error = ::fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != EOPNOTSUPP && error != ENOSYS) return error;
  return ::ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno;
}

Status rename_to(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return disk_error("cannot rename", errno, to);
  sync_parent(to);
  return absl::OkStatus();
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path, uint64_t size) {
  if (size > kMaxFileBytes) {
    return invalid_argument("weights", "a file of ", size, " bytes is too large (", path, ")");
  }
  OutputFile file(path, temporary_name(path), size);
  file.fd_ = ::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.fd_ < 0) return disk_error("cannot create the file", errno, path);
  MKM_RETURN_IF_ERROR(check_free(file.fd_, size, path));
  const int error = reserve(file.fd_, size);
  if (error != 0) return disk_error(str_cat("no place for ", size, " bytes"), error, path);
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      size_(other.size_),
      fd_(std::exchange(other.fd_, -1)) {}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Status OutputFile::write(uint64_t offset, std::span<const std::byte> bytes) const {
  if (!range_fits(offset, bytes.size(), size_)) {
    return internal_error("weights", bytes.size(), " bytes at ", offset, " in a file of ", size_,
                          " (", path_, ")");
  }
  // One call takes no more than about 2 GB.
  constexpr size_t kMaxCall = size_t{1} << 30;
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(fd_, bytes.data(), std::min(bytes.size(), kMaxCall), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      return disk_error("cannot write", written < 0 ? errno : ENOSPC, path_);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return absl::OkStatus();
}

Status OutputFile::finish() {
  if (fd_ < 0) return internal_error("weights", "finished twice (", path_, ")");
  if (::fsync(fd_) != 0) return disk_error("cannot write", errno, path_);
  MKM_RETURN_IF_ERROR(rename_to(temporary_, path_));
  // All of it is on the disk: closing has nothing left to report.
  ::close(std::exchange(fd_, -1));
  return absl::OkStatus();
}

Status write_whole_file(const std::string& path, std::string_view text) {
  MKM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path, text.size()));
  MKM_RETURN_IF_ERROR(file.write(0, std::as_bytes(std::span(text.data(), text.size()))));
  return file.finish();
}

Result<OutputDirectory> OutputDirectory::create(const std::string& path) {
  const std::string target = without_slash(path);
  std::error_code error;
  const bool taken =
      std::filesystem::exists(std::filesystem::symlink_status(target, error)) &&
      !(std::filesystem::is_directory(target, error) && std::filesystem::is_empty(target, error));
  if (taken) {
    return absl::AlreadyExistsError(
        str_cat("[weights] there is something already; give a new name or remove it (", path, ")"));
  }
  std::string temporary = temporary_name(target);
  if (::mkdir(temporary.c_str(), 0777) != 0) {
    return disk_error("cannot create the directory", errno, path);
  }
  return OutputDirectory(target, std::move(temporary));
}

OutputDirectory::OutputDirectory(OutputDirectory&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, "")) {}

OutputDirectory::~OutputDirectory() {
  if (temporary_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(temporary_, ignored);
}

Status OutputDirectory::finish() {
  if (temporary_.empty()) return internal_error("weights", "finished twice (", path_, ")");
  sync_directory(temporary_);
  MKM_RETURN_IF_ERROR(rename_to(temporary_, path_));
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace mokume
