#include "weights/byte_reader.h"

#include <algorithm>
#include <bit>

namespace mokume {

static_assert(std::endian::native == std::endian::little, "files are read as they lie");

Status ByteReader::need(uint64_t bytes, std::string_view what) const {
  if (bytes <= remaining()) return absl::OkStatus();
  return invalid_argument("weights", "the file ends inside ", what, ": ", bytes, " bytes wanted, ",
                          remaining(), " left ", where());
}

Result<std::string> ByteReader::string(uint64_t max_bytes, std::string_view what) {
  const uint64_t start = position_;
  MKM_ASSIGN_OR_RETURN(const uint64_t length, number<uint64_t>(what));
  if (length > max_bytes) {
    return invalid_argument("weights", what, " of ", length, " bytes; at most ", max_bytes,
                            " are allowed ", where(start));
  }
  MKM_RETURN_IF_ERROR(need(length, what));
  std::string text(reinterpret_cast<const char*>(bytes_.data() + position_), length);
  position_ += length;
  return text;
}

Result<std::string> ByteReader::identifier(uint64_t max_bytes, std::string_view what) {
  const uint64_t start = position_;
  MKM_ASSIGN_OR_RETURN(std::string text, string(max_bytes, what));
  const bool printable = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (text.empty() || !printable) {
    return invalid_argument("weights", what, " must be printable ASCII and not empty ",
                            where(start));
  }
  return text;
}

Result<uint64_t> ByteReader::count(uint64_t min_bytes, std::string_view what) {
  const uint64_t start = position_;
  MKM_ASSIGN_OR_RETURN(const uint64_t count, number<uint64_t>(what));
  if (count > remaining() / min_bytes) {
    return invalid_argument("weights", what, " is ", count, ", more than the ", remaining(),
                            " bytes left can hold ", where(start));
  }
  return count;
}

std::string ByteReader::where(uint64_t position) const {
  return str_cat("(", path_, ", byte ", position, ")");
}

}  // namespace mokume
