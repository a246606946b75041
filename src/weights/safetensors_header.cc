#include "weights/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <tuple>

#include "absl/strings/escaping.h"
#include "base/checked.h"
#include "weights/byte_reader.h"

namespace mokume {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's bound
constexpr uint64_t kMaxDimension = uint64_t{1} << 40;

struct StoredType {
  std::string_view name;
  uint64_t bytes;
  std::optional<DType> dtype;  ///< empty for what mokume does not compute with
  int elements = 1;            ///< of `dtype` that lie in one stored element
};

// U8 and I32 are no numbers in the checkpoints that have them, but what numbers are packed into:
// U8 two E2M1 (the low nibble first), I32 four integers of 8 bits plus 128 (the low byte first).
constexpr std::array kTypes = {
    StoredType{"F32", 4, DType::kF32},          StoredType{"F16", 2, DType::kF16},
    StoredType{"BF16", 2, DType::kBF16},        StoredType{"I8", 1, DType::kI8},
    StoredType{"F8_E4M3", 1, DType::kF8_E4M3},  StoredType{"U8", 1, DType::kE2M1, 2},
    StoredType{"I32", 4, DType::kI8Plus128, 4}, StoredType{"F64", 8, std::nullopt},
    StoredType{"I64", 8, std::nullopt},         StoredType{"I16", 2, std::nullopt},
    StoredType{"U64", 8, std::nullopt},         StoredType{"U32", 4, std::nullopt},
    StoredType{"U16", 2, std::nullopt},         StoredType{"BOOL", 1, std::nullopt},
    StoredType{"C64", 8, std::nullopt},         StoredType{"F8_E5M2", 1, std::nullopt},
};

const StoredType* type_of(std::string_view name) {
  const auto found = std::ranges::find(kTypes, name, &StoredType::name);
  return found == kTypes.end() ? nullptr : &*found;
}

/// Empty when it overflows.
std::optional<uint64_t> bytes_of(const SafetensorsInfo& info, const StoredType& type) {
  std::optional<uint64_t> bytes = type.bytes;
  for (const uint64_t size : info.shape) bytes = bytes ? checked_mul(*bytes, size) : bytes;
  return bytes;
}

/// The reader of one file; errors name it.
class HeaderChecker {
 public:
  HeaderChecker(std::span<const std::byte> data, std::string_view path)
      : data_(data), path_(path) {}

  /// Data lies gapless from the header's end to the file's, as the format demands.
  Status check_ranges(std::vector<SafetensorsInfo>& infos) const {
    std::ranges::sort(infos, {}, [](const auto& info) { return std::tuple(info.begin, info.end); });
    uint64_t next = 0;
    for (const SafetensorsInfo& info : infos) {
      if (info.begin > info.end || info.end > data_.size()) {
        return error("tensor ", info.name, " has data_offsets ", info.begin, " to ", info.end,
                     " in ", data_.size(), " bytes of data: the file is truncated or damaged");
      }
      if (info.begin != next) {
        return error("tensor ", info.name, " begins at byte ", info.begin,
                     " of the data; the one before ends at ", next,
                     info.begin < next ? ": they overlap" : ": there is a hole");
      }
      next = info.end;
    }
    if (next == data_.size()) return absl::OkStatus();
    return error("tensors end at byte ", next, " of ", data_.size(), " bytes of data");
  }

  Result<SafetensorsHeader::Entry> entry(const SafetensorsInfo& info) const {
    SafetensorsHeader::Entry entry;
    const StoredType* type = type_of(info.dtype);
    const uint64_t stored = info.end - info.begin;
    if (type && bytes_of(info, *type) != stored) {
      return error("tensor ", info.name, " has ", stored, " bytes, which is not its shape times ",
                   info.dtype);
    }
    entry.view.name = info.name;
    entry.view.data = data_.data() + info.begin;
    entry.view.bytes = stored;
    entry.is_i64 = info.dtype == "I64";
    entry.refusal = refusal(info, type);
    if (!entry.refusal.empty()) return entry;
    entry.view.dtype = *type->dtype;
    // A single number, of no dimensions, is a row of one.
    entry.view.rank = std::max(1, static_cast<int>(info.shape.size()));
    entry.view.shape[0] = 1;
    for (size_t i = 0; i < info.shape.size(); ++i) {
      entry.view.shape[i] = static_cast<int64_t>(info.shape[i]);
    }
    entry.view.shape[entry.view.rank - 1] *= type->elements;
    return entry;
  }

 private:
  template <typename... Args>
  Status error(const Args&... args) const {
    return invalid_argument("weights", args..., " (", path_, ")");
  }

  static std::string refusal(const SafetensorsInfo& info, const StoredType* type) {
    if (!type || !type->dtype) {
      return str_cat("is of type ", absl::CHexEscape(info.dtype.substr(0, 32)),
                     "; supported are F32, F16, BF16, I8, F8_E4M3, U8 and I32");
    }
    if (info.shape.size() > 4) {
      return str_cat("has ", info.shape.size(), " dimensions; at most 4 are supported");
    }
    const auto bad = [](uint64_t size) { return size == 0 || size > kMaxDimension; };
    if (std::ranges::any_of(info.shape, bad)) {
      return str_cat("has a dimension that is not 1 to ", kMaxDimension);
    }
    return "";
  }

  const std::span<const std::byte> data_;
  const std::string_view path_;
};

/// A header whose ranges have been checked against the data behind it.
struct CheckedInfos {
  std::vector<SafetensorsInfo> infos;
  std::span<const std::byte> data;
};

Result<CheckedInfos> read_infos(std::span<const std::byte> file, std::string_view path) {
  ByteReader reader(file, path);
  MKM_ASSIGN_OR_RETURN(const uint64_t size, reader.number<uint64_t>("the header's size"));
  if (size > kMaxHeaderBytes || size > reader.remaining()) {
    return invalid_argument("weights", "the header claims ", size, " bytes; ",
                            std::min(kMaxHeaderBytes, reader.remaining()), " are possible (", path,
                            ")");
  }
  const std::span<const std::byte> json = file.subspan(reader.position(), size);
  CheckedInfos checked;
  checked.data = file.subspan(reader.position() + size);
  MKM_ASSIGN_OR_RETURN(
      checked.infos,
      parse_safetensors_json({reinterpret_cast<const char*>(json.data()), json.size()}, path));
  MKM_RETURN_IF_ERROR(HeaderChecker(checked.data, path).check_ranges(checked.infos));
  return checked;
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> file,
                                                   std::string_view path) {
  MKM_ASSIGN_OR_RETURN(const CheckedInfos checked, read_infos(file, path));
  const HeaderChecker checker(checked.data, path);
  SafetensorsHeader header;
  for (const SafetensorsInfo& info : checked.infos) {
    MKM_ASSIGN_OR_RETURN(SafetensorsHeader::Entry entry, checker.entry(info));
    header.names.push_back(info.name);
    header.tensors.emplace(info.name, std::move(entry));
  }
  return header;
}

Result<std::vector<int64_t>> safetensors_integers(std::span<const std::byte> file,
                                                  std::string_view name, std::string_view path) {
  MKM_ASSIGN_OR_RETURN(const CheckedInfos checked, read_infos(file, path));
  const auto found = std::ranges::find(checked.infos, name, &SafetensorsInfo::name);
  if (found == checked.infos.end()) {
    return not_found("weights", "no tensor ", name, " (", path, ")");
  }
  if (found->dtype != "I64" || found->shape.size() != 1) {
    return invalid_argument("weights", "tensor ", name, " must be I64 with one dimension (", path,
                            ")");
  }
  std::vector<int64_t> values((found->end - found->begin) / sizeof(int64_t));
  std::memcpy(values.data(), checked.data.data() + found->begin, values.size() * sizeof(int64_t));
  return values;
}

}  // namespace mokume
