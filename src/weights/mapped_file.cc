#include "weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace mokume {
namespace {

std::string system_message(int error) { return std::generic_category().message(error); }

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: a FIFO must not hold us up.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) {
    const int error = errno;
    const std::string message = system_message(error);
    if (error == ENOENT) return not_found("weights", "cannot open: ", message, " (", path, ")");
    return invalid_argument("weights", "cannot open: ", message, " (", path, ")");
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return invalid_argument("weights", "not a regular file (", path, ")");
  }
  if (info.st_size <= 0) return invalid_argument("weights", "the file is empty (", path, ")");
  const size_t size = static_cast<size_t>(info.st_size);
  void* mapping = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (mapping == MAP_FAILED) {
    return resource_exhausted("weights", "cannot map ", size, " bytes: ", system_message(errno),
                              " (", path, ")");
  }
  return std::unique_ptr<MappedFile>(
      new MappedFile(std::span(static_cast<const std::byte*>(mapping), size)));
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

void MappedFile::release(std::span<const std::byte> part) const {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto base = reinterpret_cast<uintptr_t>(bytes_.data());
  const auto begin = reinterpret_cast<uintptr_t>(part.data());
  if (begin < base || begin - base > bytes_.size() ||
      part.size() > bytes_.size() - (begin - base)) {
    return;
  }
  const uintptr_t first = (begin + page - 1) / page * page;
  const uintptr_t last = (begin + part.size()) / page * page;
  // A hint: when it fails, the pages just stay.
  if (last > first) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace mokume
