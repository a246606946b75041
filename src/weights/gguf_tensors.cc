// Tensor infos: name, rank, dimensions (fastest first), type, offset into the data that follows the
// header.
#include <algorithm>

#include "base/checked.h"
#include "weights/gguf_header.h"
#include "weights/gguf_types.h"

namespace mokume {
namespace {

constexpr uint64_t kMaxNameBytes = 255;
constexpr uint64_t kMaxDimension = uint64_t{1} << 40;

struct TensorInfo {
  TensorView view;
  uint64_t offset = 0;    ///< from the start of the data
  uint64_t position = 0;  ///< of the info in the file, for messages
};

Status parse_shape(ByteReader& reader, TensorView& view) {
  const uint64_t start = reader.position();
  MKM_ASSIGN_OR_RETURN(const uint32_t rank, reader.number<uint32_t>("a tensor's rank"));
  if (rank < 1 || rank > 4) {
    return invalid_argument("weights", "tensor ", view.name, " has rank ", rank,
                            "; must be 1 to 4 ", reader.where(start));
  }
  view.rank = static_cast<int>(rank);
  for (int i = view.rank - 1; i >= 0; --i) {
    const uint64_t at = reader.position();
    MKM_ASSIGN_OR_RETURN(const uint64_t size, reader.number<uint64_t>("a tensor's dimensions"));
    if (size < 1 || size > kMaxDimension) {
      return invalid_argument("weights", "tensor ", view.name, " has a dimension of ", size,
                              "; must be 1 to ", kMaxDimension, " ", reader.where(at));
    }
    view.shape[i] = static_cast<int64_t>(size);
  }
  return absl::OkStatus();
}

Status parse_type(ByteReader& reader, TensorView& view) {
  const uint64_t start = reader.position();
  MKM_ASSIGN_OR_RETURN(const uint32_t type, reader.number<uint32_t>("a tensor's type"));
  const std::optional<DType> dtype = dtype_of_ggml_type(type);
  if (!dtype) {
    const std::string_view name = ggml_type_name(type);
    return invalid_argument("weights", "tensor ", view.name, " is of type ", type,
                            name.empty() ? "" : str_cat(" (", name, ")"), "; supported are ",
                            known_ggml_types(), " ", reader.where(start));
  }
  view.dtype = *dtype;
  return absl::OkStatus();
}

Status compute_bytes(const ByteReader& reader, TensorInfo& info) {
  TensorView& view = info.view;
  const std::optional<uint64_t> row = row_bytes(view.dtype, view.columns());
  if (!row) {
    return invalid_argument("weights", "tensor ", view.name, " is ", to_string(view),
                            ", whose rows must be multiples of ",
                            dtype_info(view.dtype).block_elements, " ",
                            reader.where(info.position));
  }
  std::optional<uint64_t> bytes = row;
  for (int i = 0; i + 1 < view.rank && bytes; ++i) bytes = checked_mul(*bytes, view.shape[i]);
  if (!bytes) {
    return invalid_argument("weights", "tensor ", view.name, " is ", to_string(view),
                            ", larger than 2^64 bytes ", reader.where(info.position));
  }
  view.bytes = *bytes;
  return absl::OkStatus();
}

Result<TensorInfo> parse_info(ByteReader& reader, uint64_t alignment) {
  TensorInfo info;
  info.position = reader.position();
  MKM_ASSIGN_OR_RETURN(info.view.name, reader.identifier(kMaxNameBytes, "a tensor's name"));
  MKM_RETURN_IF_ERROR(parse_shape(reader, info.view));
  MKM_RETURN_IF_ERROR(parse_type(reader, info.view));
  MKM_ASSIGN_OR_RETURN(info.offset, reader.number<uint64_t>("a tensor's offset"));
  if (info.offset % alignment != 0) {
    return invalid_argument("weights", "tensor ", info.view.name, " has offset ", info.offset,
                            "; must be a multiple of ", alignment, " ",
                            reader.where(info.position));
  }
  MKM_RETURN_IF_ERROR(compute_bytes(reader, info));
  return info;
}

Status check_range(const ByteReader& reader, const TensorInfo& info, uint64_t data_bytes) {
  if (range_fits(info.offset, info.view.bytes, data_bytes)) return absl::OkStatus();
  return invalid_argument("weights", "tensor ", info.view.name, " of ", info.view.bytes,
                          " bytes at offset ", info.offset, " reaches beyond the ", data_bytes,
                          " bytes of data: the file is truncated or damaged ",
                          reader.where(info.position));
}

Status check_overlap(const ByteReader& reader, std::vector<TensorInfo>& infos) {
  std::ranges::sort(infos, {}, &TensorInfo::offset);
  for (size_t i = 1; i < infos.size(); ++i) {
    if (infos[i].offset - infos[i - 1].offset >= infos[i - 1].view.bytes) continue;
    return invalid_argument("weights", "tensors ", infos[i - 1].view.name, " and ",
                            infos[i].view.name, " overlap ", reader.where(infos[i].position));
  }
  return absl::OkStatus();
}

}  // namespace

Status parse_gguf_tensors(ByteReader& reader, std::span<const std::byte> file, uint64_t count,
                          uint64_t alignment, GgufHeader& header) {
  std::vector<TensorInfo> infos;
  infos.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MKM_ASSIGN_OR_RETURN(TensorInfo info, parse_info(reader, alignment));
    header.tensor_names.push_back(info.view.name);
    infos.push_back(std::move(info));
  }
  // No overflow: the position is inside the file and the alignment is bounded.
  const uint64_t data_start = (reader.position() + alignment - 1) / alignment * alignment;
  const uint64_t data_bytes = file.size() > data_start ? file.size() - data_start : 0;
  for (const TensorInfo& info : infos) {
    MKM_RETURN_IF_ERROR(check_range(reader, info, data_bytes));
  }
  MKM_RETURN_IF_ERROR(check_overlap(reader, infos));
  for (TensorInfo& info : infos) {
    info.view.data = file.data() + data_start + info.offset;
    std::string name = info.view.name;
    if (!header.tensors.emplace(std::move(name), info.view).second) {
      return invalid_argument("weights", "tensor ", info.view.name, " is in the file twice ",
                              reader.where(info.position));
    }
  }
  return absl::OkStatus();
}

}  // namespace mokume
