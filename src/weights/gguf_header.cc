#include "weights/gguf_header.h"

#include <bit>

namespace mokume {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMinKeyValueBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorInfoBytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr int64_t kDefaultAlignment = 32;
constexpr uint64_t kMinAlignment = 8;
constexpr uint64_t kMaxAlignment = 65536;

Status parse_magic_and_version(ByteReader& reader, GgufHeader& header) {
  MKM_ASSIGN_OR_RETURN(const uint32_t magic, reader.number<uint32_t>("the magic number"));
  if (magic != kMagic) {
    return invalid_argument("weights", "not a GGUF file: it does not begin with \"GGUF\" ",
                            reader.where(0));
  }
  MKM_ASSIGN_OR_RETURN(header.version, reader.number<uint32_t>("the version"));
  if (header.version == 2 || header.version == 3) return absl::OkStatus();
  if (header.version != 0 && (header.version & 0xffff) == 0) {
    return invalid_argument("weights", "a big-endian GGUF file; only little-endian ones are read ",
                            reader.where(4));
  }
  return invalid_argument("weights", "GGUF version ", header.version, "; supported are 2 and 3 ",
                          reader.where(4));
}

Status parse_metadata(ByteReader& reader, uint64_t count, GgufHeader& header) {
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t start = reader.position();
    MKM_ASSIGN_OR_RETURN(std::string key, reader.identifier(kMaxKeyBytes, "a metadata key"));
    MKM_ASSIGN_OR_RETURN(MetadataValue value, parse_gguf_value(reader, key));
    if (!header.metadata.emplace(key, std::move(value)).second) {
      return invalid_argument("weights", "key ", key, " is in the file twice ",
                              reader.where(start));
    }
    header.keys.push_back(std::move(key));
  }
  return absl::OkStatus();
}

Result<uint64_t> find_alignment(const ByteReader& reader, const GgufHeader& header) {
  const auto found = header.metadata.find("general.alignment");
  if (found == header.metadata.end()) return kDefaultAlignment;
  const auto* alignment = std::get_if<uint64_t>(&found->second);
  if (alignment == nullptr || !std::has_single_bit(*alignment) || *alignment < kMinAlignment ||
      *alignment > kMaxAlignment) {
    return invalid_argument("weights", "general.alignment must be an unsigned power of two from ",
                            kMinAlignment, " to ", kMaxAlignment, " ", reader.where());
  }
  return *alignment;
}

}  // namespace

Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file, std::string_view path) {
  ByteReader reader(file, path);
  GgufHeader header;
  MKM_RETURN_IF_ERROR(parse_magic_and_version(reader, header));
  MKM_ASSIGN_OR_RETURN(const uint64_t tensors,
                       reader.count(kMinTensorInfoBytes, "the number of tensors"));
  MKM_ASSIGN_OR_RETURN(const uint64_t keys,
                       reader.count(kMinKeyValueBytes, "the number of metadata keys"));
  MKM_RETURN_IF_ERROR(parse_metadata(reader, keys, header));
  MKM_ASSIGN_OR_RETURN(const uint64_t alignment, find_alignment(reader, header));
  MKM_RETURN_IF_ERROR(parse_gguf_tensors(reader, file, tensors, alignment, header));
  return header;
}

}  // namespace mokume
