#include "cli/files.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mokume {

Result<std::string> read_file(const std::string& path, uint64_t max_bytes) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) return not_found("cli", "cannot read ", path, ": ", error.message());
  if (size > max_bytes)
    return invalid_argument("cli", path, " has ", size, " bytes; at most ", max_bytes, " are read");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !text) return invalid_argument("cli", "cannot read ", path);
  return text.str();
}

Status write_file(const std::string& path, const std::function<Status(std::ostream&)>& write) {
  const std::string temporary = path + ".part";
  Status status;
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    if (!file) return invalid_argument("cli", "cannot write ", temporary);
    status = write(file);
    file.flush();
    if (status.ok() && !file)
      status = resource_exhausted("cli", "writing ", temporary, " failed; is the disk full?");
  }
  std::error_code error;
  if (status.ok()) std::filesystem::rename(temporary, path, error);
  if (error) status = invalid_argument("cli", "cannot rename ", temporary, ": ", error.message());
  if (!status.ok()) std::filesystem::remove(temporary, error);
  return status;
}

}  // namespace mokume
