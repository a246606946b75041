#include "weights/safetensors.h"

#include <cstring>

#include "weights/mapped_file.h"
#include "weights/safetensors_header.h"

namespace mokume {
namespace {

class Safetensors : public SafetensorsFile {
 public:
  /// One of `mapping` and `memory` holds the bytes that the header's views point into.
  Safetensors(std::string path, SafetensorsHeader header, std::unique_ptr<MappedFile> mapping,
              std::vector<std::byte> memory)
      : path_(std::move(path)),
        mapping_(std::move(mapping)),
        memory_(std::move(memory)),
        header_(std::move(header)) {}

  Result<TensorView> tensor(std::string_view name) const override {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end()) {
      return not_found("weights", "no tensor ", name, " (", path_, ")");
    }
    const SafetensorsHeader::Entry& entry = found->second;
    if (entry.refusal.empty()) return entry.view;
    return invalid_argument("weights", "tensor ", name, " ", entry.refusal, " (", path_, ")");
  }
  Result<std::vector<int64_t>> integers(std::string_view name) const override {
    constexpr uint64_t kMost = 16;
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end()) {
      return not_found("weights", "no tensor ", name, " (", path_, ")");
    }
    const SafetensorsHeader::Entry& entry = found->second;
    if (!entry.is_i64 || entry.view.bytes > kMost * sizeof(int64_t)) {
      return invalid_argument("weights", "tensor ", name, " must be I64 of at most ", kMost,
                              " elements (", path_, ")");
    }
    std::vector<int64_t> numbers(entry.view.bytes / sizeof(int64_t));
    std::memcpy(numbers.data(), entry.view.data, entry.view.bytes);
    return numbers;
  }
  bool contains(std::string_view name) const override { return header_.tensors.contains(name); }
  std::vector<std::string> names() const override { return header_.names; }
  void release(const TensorView& tensor) const override {
    if (mapping_) mapping_->release({tensor.data, static_cast<size_t>(tensor.bytes)});
  }
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const std::unique_ptr<MappedFile> mapping_;
  const std::vector<std::byte> memory_;
  const SafetensorsHeader header_;
};

}  // namespace

Result<std::shared_ptr<SafetensorsFile>> SafetensorsFile::open(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> mapping, MappedFile::open(path));
  MKM_ASSIGN_OR_RETURN(SafetensorsHeader header, parse_safetensors_header(mapping->bytes(), path));
  return std::make_shared<Safetensors>(path, std::move(header), std::move(mapping),
                                       std::vector<std::byte>());
}

Result<std::shared_ptr<SafetensorsFile>> SafetensorsFile::from_bytes(std::vector<std::byte> bytes,
                                                                     const std::string& name) {
  // Moving a vector leaves its elements where they are, so the header's views stay good.
  MKM_ASSIGN_OR_RETURN(SafetensorsHeader header, parse_safetensors_header(bytes, name));
  return std::make_shared<Safetensors>(name, std::move(header), nullptr, std::move(bytes));
}

}  // namespace mokume
