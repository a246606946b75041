// The parsed and checked header of a GGUF file.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/byte_reader.h"
#include "weights/gguf.h"

namespace mokume {

struct GgufHeader {
  uint32_t version = 0;
  std::vector<std::string> keys;  ///< in the file's order
  std::map<std::string, MetadataValue, std::less<>> metadata;
  std::vector<std::string> tensor_names;  ///< in the file's order
  std::map<std::string, TensorView, std::less<>> tensors;
};

/// Parses all of `file`, which the views then point into. Takes time and memory in proportion to
/// the header, never to a number that the header claims. `path` is for messages.
Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file, std::string_view path);

/// Parts of parse_gguf_header.
Result<MetadataValue> parse_gguf_value(ByteReader& reader, std::string_view key);
Status parse_gguf_tensors(ByteReader& reader, std::span<const std::byte> file, uint64_t count,
                          uint64_t alignment, GgufHeader& header);

}  // namespace mokume
