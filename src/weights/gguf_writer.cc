#include "weights/gguf_writer.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <type_traits>

#include "base/checked.h"
#include "base/text.h"
#include "weights/gguf_types.h"
#include "weights/output_file.h"
#include "weights/tensor_slots.h"

namespace mokume {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;
constexpr size_t kMaxKeyBytes = 65535;
constexpr size_t kMaxNameBytes = 63;
constexpr int64_t kMaxDimension = int64_t{1} << 40;
constexpr uint32_t kArray = 9;

/// The format's number of a value's type.
template <typename T>
constexpr uint32_t value_type() {
  if constexpr (std::is_same_v<T, uint8_t>) return 0;
  if constexpr (std::is_same_v<T, int8_t>) return 1;
  if constexpr (std::is_same_v<T, uint16_t>) return 2;
  if constexpr (std::is_same_v<T, int16_t>) return 3;
  if constexpr (std::is_same_v<T, uint32_t>) return 4;
  if constexpr (std::is_same_v<T, int32_t>) return 5;
  if constexpr (std::is_same_v<T, float>) return 6;
  if constexpr (std::is_same_v<T, bool>) return 7;
  if constexpr (std::is_same_v<T, std::string>) return 8;
  if constexpr (std::is_same_v<T, uint64_t>) return 10;
  if constexpr (std::is_same_v<T, int64_t>) return 11;
  if constexpr (std::is_same_v<T, double>) return 12;
}

/// The header under construction.
class Header {
 public:
  template <typename T>
  void number(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  void string(std::string_view text) {
    number<uint64_t>(text.size());
    bytes_ += text;
  }
  void value(const GgufValue& value) {
    std::visit([this](const auto& held) { typed(held); }, value);
  }
  /// Zeros up to where the data begin.
  std::string padded() && {
    bytes_.resize(static_cast<size_t>(round_up(static_cast<int64_t>(bytes_.size()), kAlignment)));
    return std::move(bytes_);
  }

 private:
  void element(bool value) { number<uint8_t>(value); }
  void element(const std::string& value) { string(value); }
  template <typename T>
  void element(T value) {
    number(value);
  }
  template <typename T>
  void typed(const T& value) {
    number(value_type<T>());
    element(value);
  }
  template <typename T>
  void typed(const std::vector<T>& values) {
    number(kArray);
    number(value_type<T>());
    number<uint64_t>(values.size());
    for (const T value : values) element(value);
  }
  void typed(const std::vector<std::string>& values) {
    number(kArray);
    number(value_type<std::string>());
    number<uint64_t>(values.size());
    for (const std::string& value : values) element(value);
  }

  std::string bytes_;
};

Status check_keys(std::span<const GgufKeyValue> metadata, const std::string& path) {
  std::set<std::string_view> seen;
  for (const GgufKeyValue& pair : metadata) {
    const std::string& key = pair.key;
    const bool printable = std::ranges::all_of(key, [](char c) { return c >= ' ' && c <= '~'; });
    if (key.empty() || key.size() > kMaxKeyBytes || !printable) {
      return invalid_argument("weights", "a key is called ", quote(key), "; keys are 1 to ",
                              kMaxKeyBytes, " characters of printable ASCII (", path, ")");
    }
    if (key == "general.alignment") {
      return invalid_argument("weights", key, " cannot be chosen: it is ", kAlignment, " (", path,
                              ")");
    }
    if (!seen.insert(key).second) {
      return invalid_argument("weights", "key ", key, " is listed twice (", path, ")");
    }
  }
  return absl::OkStatus();
}

Result<uint64_t> align_up(uint64_t offset, const std::string& path) {
  const std::optional<uint64_t> sum = checked_add(offset, kAlignment - 1);
  if (!sum) return invalid_argument("weights", "more than 2^64 bytes (", path, ")");
  return *sum / kAlignment * kAlignment;
}

/// Offsets from where the data begin; the last is where they end.
Result<std::vector<uint64_t>> lay_out(std::span<const GgufTensor> tensors, TensorSlots& slots,
                                      const std::string& path) {
  std::vector<uint64_t> offsets = {0};
  for (const GgufTensor& tensor : tensors) {
    MKM_ASSIGN_OR_RETURN(const uint64_t bytes, gguf_bytes(tensor));
    MKM_RETURN_IF_ERROR(slots.add(tensor.name, bytes, kMaxNameBytes, path));
    // ggml wants the file to hold the last tensor's padding too.
    MKM_ASSIGN_OR_RETURN(const uint64_t end,
                         align_up(checked_add(offsets.back(), bytes).value_or(UINT64_MAX), path));
    offsets.push_back(end);
  }
  return offsets;
}

std::string make_header(std::span<const GgufKeyValue> metadata, std::span<const GgufTensor> tensors,
                        const std::vector<uint64_t>& offsets) {
  Header header;
  header.number(kMagic);
  header.number(kVersion);
  header.number<uint64_t>(tensors.size());
  header.number<uint64_t>(metadata.size());
  for (const GgufKeyValue& pair : metadata) {
    header.string(pair.key);
    header.value(pair.value);
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const GgufTensor& tensor = tensors[i];
    header.string(tensor.name);
    header.number(static_cast<uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      header.number(static_cast<uint64_t>(*size));
    }
    header.number(*ggml_type_of(tensor.dtype));  // checked by gguf_bytes()
    header.number(offsets[i]);
  }
  return std::move(header).padded();
}

}  // namespace

Result<uint64_t> gguf_bytes(const GgufTensor& tensor) {
  const std::string_view type = dtype_info(tensor.dtype).name;
  if (!ggml_type_of(tensor.dtype)) {
    return invalid_argument("weights", "tensor ", tensor.name, " is of type ", type,
                            ", which GGUF does not have");
  }
  if (tensor.shape.empty() || tensor.shape.size() > 4) {
    return invalid_argument("weights", "tensor ", tensor.name, " has ", tensor.shape.size(),
                            " dimensions; must have 1 to 4");
  }
  for (const int64_t size : tensor.shape) {
    if (size < 1 || size > kMaxDimension) {
      return invalid_argument("weights", "tensor ", tensor.name, " has a dimension of ", size,
                              "; must be 1 to ", kMaxDimension);
    }
  }
  std::optional<uint64_t> bytes =
      row_bytes(tensor.dtype, static_cast<uint64_t>(tensor.shape.back()));
  if (!bytes) {
    return invalid_argument("weights", "tensor ", tensor.name, " has rows of ", tensor.shape.back(),
                            "; ", type, " needs multiples of ",
                            dtype_info(tensor.dtype).block_elements);
  }
  for (size_t i = 0; i + 1 < tensor.shape.size() && bytes; ++i) {
    bytes = checked_mul(*bytes, static_cast<uint64_t>(tensor.shape[i]));
  }
  if (bytes) return *bytes;
  return invalid_argument("weights", "tensor ", tensor.name, " is larger than 2^64 bytes");
}

Result<std::unique_ptr<WeightWriter>> create_gguf_file(const std::string& path,
                                                       std::span<const GgufKeyValue> metadata,
                                                       std::span<const GgufTensor> tensors) {
  MKM_RETURN_IF_ERROR(check_keys(metadata, path));
  TensorSlots slots;
  MKM_ASSIGN_OR_RETURN(const std::vector<uint64_t> offsets, lay_out(tensors, slots, path));
  const std::string header = make_header(metadata, tensors, offsets);
  for (size_t i = 0; i < tensors.size(); ++i) {
    slots.place(tensors[i].name, header.size() + offsets[i]);
  }
  const std::optional<uint64_t> size = checked_add(header.size(), offsets.back());
  if (!size) return invalid_argument("weights", "more than 2^64 bytes (", path, ")");
  MKM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path, *size));
  MKM_RETURN_IF_ERROR(file.write(0, std::as_bytes(std::span(header))));
  return make_slot_writer(std::move(file), std::move(slots));
}

}  // namespace mokume
