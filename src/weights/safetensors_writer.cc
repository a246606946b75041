#include "weights/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/checked.h"
#include "base/text.h"
#include "weights/output_file.h"
#include "weights/tensor_slots.h"

namespace mokume {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxNameBytes = 1024;
constexpr uint64_t kMaxDimension = uint64_t{1} << 40;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's bound
constexpr uint64_t kDataAlignment = 8;             // of the data's start

struct StoredType {
  std::string_view name;
  uint64_t bytes;
};

constexpr std::array kTypes = {
    StoredType{"F64", 8},  StoredType{"F32", 4},     StoredType{"F16", 2},
    StoredType{"BF16", 2}, StoredType{"F8_E4M3", 1}, StoredType{"F8_E5M2", 1},
    StoredType{"I64", 8},  StoredType{"I32", 4},     StoredType{"I16", 2},
    StoredType{"I8", 1},   StoredType{"U64", 8},     StoredType{"U32", 4},
    StoredType{"U16", 2},  StoredType{"U8", 1},      StoredType{"BOOL", 1},
};

/// 0 for a name that is none.
uint64_t element_bytes(std::string_view dtype) {
  const auto found = std::ranges::find(kTypes, dtype, &StoredType::name);
  return found == kTypes.end() ? 0 : found->bytes;
}

/// A tensor and its place, from where the data begin.
struct Placed {
  const SafetensorsTensor* tensor = nullptr;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Result<std::vector<Placed>> lay_out(std::span<const SafetensorsTensor> tensors,
                                    const std::string& path) {
  std::vector<Placed> placed;
  for (const SafetensorsTensor& tensor : tensors) placed.push_back({&tensor});
  std::ranges::stable_sort(placed, std::ranges::greater{},
                           [](const Placed& p) { return element_bytes(p.tensor->dtype); });
  uint64_t end = 0;
  for (Placed& place : placed) {
    MKM_ASSIGN_OR_RETURN(const uint64_t bytes, safetensors_bytes(*place.tensor));
    const std::optional<uint64_t> next = checked_add(end, bytes);
    if (!next) return invalid_argument("weights", "more than 2^64 bytes (", path, ")");
    place.begin = end;
    place.end = end = *next;
  }
  return placed;
}

/// The header's size and JSON, padded so that the data behind it are aligned.
std::string make_header(const std::vector<Placed>& placed, const SafetensorsMetadata& metadata) {
  Json json = Json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  for (const Placed& place : placed) {
    json[place.tensor->name] = {{"dtype", place.tensor->dtype},
                                {"shape", place.tensor->shape},
                                {"data_offsets", {place.begin, place.end}}};
  }
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize(static_cast<size_t>(round_up(static_cast<int64_t>(text.size()), kDataAlignment)),
              ' ');
  const uint64_t size = text.size();
  std::string header(sizeof(size), '\0');
  std::memcpy(header.data(), &size, sizeof(size));
  return header + text;
}

class DirectoryWriter : public WeightWriter {
 public:
  using Shards = std::map<std::string, std::unique_ptr<WeightWriter>>;
  DirectoryWriter(Shards shards, std::map<std::string, WeightWriter*, std::less<>> tensors,
                  std::string index_path, std::string index)
      : shards_(std::move(shards)),
        tensors_(std::move(tensors)),
        index_path_(std::move(index_path)),
        index_(std::move(index)) {}

  Status write(std::string_view tensor, std::span<const std::byte> bytes) override {
    const auto found = tensors_.find(tensor);
    if (found != tensors_.end()) return found->second->write(tensor, bytes);
    return not_found("weights", "no tensor ", tensor, " was listed (", index_path_, ")");
  }
  /// The index comes last: without it the shards are no model.
  Status finish() override {
    for (const auto& [name, shard] : shards_) MKM_RETURN_IF_ERROR(shard->finish());
    return write_whole_file(index_path_, index_);
  }

 private:
  const Shards shards_;
  const std::map<std::string, WeightWriter*, std::less<>> tensors_;
  const std::string index_path_;
  const std::string index_;
};

/// Cuts the list where a shard is full.
Result<std::vector<std::span<const SafetensorsTensor>>> split(
    std::span<const SafetensorsTensor> tensors, uint64_t shard_bytes) {
  std::vector<std::span<const SafetensorsTensor>> shards;
  size_t first = 0;
  uint64_t filled = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    MKM_ASSIGN_OR_RETURN(const uint64_t bytes, safetensors_bytes(tensors[i]));
    if (i > first && (filled > shard_bytes || bytes > shard_bytes - filled)) {
      shards.push_back(tensors.subspan(first, i - first));
      first = i;
      filled = 0;
    }
    filled = checked_add(filled, bytes).value_or(UINT64_MAX);
  }
  shards.push_back(tensors.subspan(first));
  return shards;
}

/// "model-00001-of-00002.safetensors"
std::string shard_name(size_t number, size_t count) {
  const auto digits = [](size_t n) {
    const std::string text = str_cat(n);
    return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
  };
  return str_cat("model-", digits(number), "-of-", digits(count), ".safetensors");
}

}  // namespace

Result<uint64_t> safetensors_bytes(const SafetensorsTensor& tensor) {
  std::optional<uint64_t> bytes = element_bytes(tensor.dtype);
  if (bytes == 0) {
    return invalid_argument("weights", "tensor ", tensor.name, " has the dtype ",
                            quote(tensor.dtype), ", which safetensors does not have");
  }
  for (const int64_t size : tensor.shape) {
    if (size < 0 || static_cast<uint64_t>(size) > kMaxDimension) {
      return invalid_argument("weights", "tensor ", tensor.name, " has a dimension of ", size,
                              "; must be 0 to ", kMaxDimension);
    }
    if (bytes) bytes = checked_mul(*bytes, static_cast<uint64_t>(size));
  }
  if (bytes) return *bytes;
  return invalid_argument("weights", "tensor ", tensor.name, " is larger than 2^64 bytes");
}

Result<std::unique_ptr<WeightWriter>> create_safetensors_file(
    const std::string& path, std::span<const SafetensorsTensor> tensors,
    const SafetensorsMetadata& metadata) {
  MKM_ASSIGN_OR_RETURN(const std::vector<Placed> placed, lay_out(tensors, path));
  TensorSlots slots;
  for (const Placed& place : placed) {
    MKM_RETURN_IF_ERROR(
        slots.add(place.tensor->name, place.end - place.begin, kMaxNameBytes, path));
  }
  const std::string header = make_header(placed, metadata);
  if (header.size() > kMaxHeaderBytes) {
    return invalid_argument("weights", "a header of ", header.size(), " bytes; at most ",
                            kMaxHeaderBytes, " are allowed (", path, ")");
  }
  for (const Placed& place : placed) slots.place(place.tensor->name, header.size() + place.begin);
  const uint64_t data_bytes = placed.empty() ? 0 : placed.back().end;
  const std::optional<uint64_t> size = checked_add(header.size(), data_bytes);
  if (!size) return invalid_argument("weights", "more than 2^64 bytes (", path, ")");
  MKM_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path, *size));
  MKM_RETURN_IF_ERROR(file.write(0, std::as_bytes(std::span(header))));
  return make_slot_writer(std::move(file), std::move(slots));
}

Result<std::unique_ptr<WeightWriter>> create_safetensors_directory(
    const std::string& directory, std::span<const SafetensorsTensor> tensors, uint64_t shard_bytes,
    const SafetensorsMetadata& metadata) {
  MKM_ASSIGN_OR_RETURN(const auto parts, split(tensors, shard_bytes));
  if (parts.size() == 1) {
    return create_safetensors_file(directory + "/model.safetensors", tensors, metadata);
  }
  DirectoryWriter::Shards shards;
  std::map<std::string, WeightWriter*, std::less<>> owners;
  std::map<std::string, std::string> weight_map;
  uint64_t total = 0;
  const std::string index_path = directory + "/model.safetensors.index.json";
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string name = shard_name(i + 1, parts.size());
    MKM_ASSIGN_OR_RETURN(
        auto shard, create_safetensors_file(str_cat(directory, "/", name), parts[i], metadata));
    for (const SafetensorsTensor& tensor : parts[i]) {
      if (!owners.emplace(tensor.name, shard.get()).second) {
        return invalid_argument("weights", "tensor ", tensor.name, " is listed twice (", index_path,
                                ")");
      }
      weight_map.emplace(tensor.name, name);
      total += safetensors_bytes(tensor).value_or(0);  // checked by split()
    }
    shards.emplace(name, std::move(shard));
  }
  const Json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  return std::make_unique<DirectoryWriter>(std::move(shards), std::move(owners), index_path,
                                           index.dump(2) + "\n");
}

}  // namespace mokume
