#include "weights/gguf.h"

#include "weights/gguf_header.h"
#include "weights/mapped_file.h"

namespace mokume {
namespace {

class Gguf : public GgufFile {
 public:
  /// One of `mapping` and `memory` holds the bytes that the header's views point into.
  Gguf(std::string path, GgufHeader header, std::unique_ptr<MappedFile> mapping,
       std::vector<std::byte> memory)
      : path_(std::move(path)),
        mapping_(std::move(mapping)),
        memory_(std::move(memory)),
        header_(std::move(header)) {}

  Result<TensorView> tensor(std::string_view name) const override {
    const auto found = header_.tensors.find(name);
    if (found != header_.tensors.end()) return found->second;
    return not_found("weights", "no tensor ", name, " (", path_, ")");
  }
  bool contains(std::string_view name) const override { return header_.tensors.contains(name); }
  std::vector<std::string> names() const override { return header_.tensor_names; }
  void release(const TensorView& tensor) const override {
    if (mapping_) mapping_->release({tensor.data, static_cast<size_t>(tensor.bytes)});
  }
  const std::string& path() const override { return path_; }
  const MetadataValue* metadata(std::string_view key) const override {
    const auto found = header_.metadata.find(key);
    return found == header_.metadata.end() ? nullptr : &found->second;
  }
  std::vector<std::string> metadata_keys() const override { return header_.keys; }
  uint32_t version() const override { return header_.version; }

 private:
  const std::string path_;
  const std::unique_ptr<MappedFile> mapping_;
  const std::vector<std::byte> memory_;
  const GgufHeader header_;
};

}  // namespace

Result<std::shared_ptr<GgufFile>> GgufFile::open(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> mapping, MappedFile::open(path));
  MKM_ASSIGN_OR_RETURN(GgufHeader header, parse_gguf_header(mapping->bytes(), path));
  return std::make_shared<Gguf>(path, std::move(header), std::move(mapping),
                                std::vector<std::byte>());
}

Result<std::shared_ptr<GgufFile>> GgufFile::from_bytes(std::vector<std::byte> bytes,
                                                       const std::string& name) {
  // Moving a vector leaves its elements where they are, so the header's views stay good.
  MKM_ASSIGN_OR_RETURN(GgufHeader header, parse_gguf_header(bytes, name));
  return std::make_shared<Gguf>(name, std::move(header), nullptr, std::move(bytes));
}

}  // namespace mokume
