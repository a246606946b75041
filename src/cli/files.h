// Whole files in and out.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "base/status.h"

namespace mokume {

/// NotFound or InvalidArgument when the file cannot be read or is larger than `max_bytes`.
Result<std::string> read_file(const std::string& path, uint64_t max_bytes);

/// Writes beside `path` and renames at the end, so that no half file is left under that name.
Status write_file(const std::string& path, const std::function<Status(std::ostream&)>& write);

}  // namespace mokume
