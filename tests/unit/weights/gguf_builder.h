// Writes small GGUF files for tests, right ones and wrong ones; shares no code with the reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mokume::testing {

/// Bytes, written little-endian.
class ByteWriter {
 public:
  template <typename T>
  ByteWriter& number(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
    return *this;
  }
  ByteWriter& string(std::string_view text) {
    number<uint64_t>(text.size());
    return raw({reinterpret_cast<const std::byte*>(text.data()),
                reinterpret_cast<const std::byte*>(text.data()) + text.size()});
  }
  ByteWriter& raw(const std::vector<std::byte>& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  ByteWriter& pad(size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_.push_back(std::byte{0});
    return *this;
  }
  std::vector<std::byte> bytes_;
};

/// A file under construction. Everything can be made wrong through the public members.
class GgufBuilder {
 public:
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  ///< fastest first, as in the file
    uint32_t type = 0;
    uint64_t offset = 0;
    std::vector<std::byte> data;
  };

  /// Metadata: the value type's number, then its bytes.
  GgufBuilder& key(std::string_view name, uint32_t type, const ByteWriter& value) {
    keys_.string(name).number(type).raw(value.bytes_);
    ++key_count_;
    return *this;
  }
  GgufBuilder& u32(std::string_view name, uint32_t value) {
    return key(name, 4, ByteWriter().number(value));
  }
  GgufBuilder& f32(std::string_view name, float value) {
    return key(name, 6, ByteWriter().number(value));
  }
  GgufBuilder& text(std::string_view name, std::string_view value) {
    return key(name, 8, ByteWriter().string(value));
  }
  GgufBuilder& flag(std::string_view name, bool value) {
    return key(name, 7, ByteWriter().number<uint8_t>(value));
  }
  GgufBuilder& texts(std::string_view name, const std::vector<std::string>& values) {
    ByteWriter writer;
    writer.number<uint32_t>(8).number<uint64_t>(values.size());
    for (const std::string& value : values) writer.string(value);
    return key(name, 9, writer);
  }
  GgufBuilder& i32s(std::string_view name, const std::vector<int32_t>& values) {
    ByteWriter writer;
    writer.number<uint32_t>(5).number<uint64_t>(values.size());
    for (const int32_t value : values) writer.number(value);
    return key(name, 9, writer);
  }

  /// Lies behind the tensor before it, at the next multiple of `alignment_`.
  GgufBuilder& tensor(std::string name, std::vector<uint64_t> dims, uint32_t type,
                      std::vector<std::byte> data) {
    uint64_t offset = 0;
    if (!tensors_.empty()) offset = tensors_.back().offset + tensors_.back().data.size();
    offset = (offset + alignment_ - 1) / alignment_ * alignment_;
    tensors_.push_back({std::move(name), std::move(dims), type, offset, std::move(data)});
    return *this;
  }
  /// Zeros, of type F32.
  GgufBuilder& f32_tensor(std::string name, std::vector<uint64_t> dims) {
    uint64_t count = 1;
    for (const uint64_t dim : dims) count *= dim;
    return tensor(std::move(name), std::move(dims), 0, std::vector<std::byte>(count * 4));
  }

  std::vector<std::byte> build() const {
    ByteWriter file;
    file.number(magic_).number(version_);
    file.number<uint64_t>(tensor_count_ ? tensor_count_ : tensors_.size());
    file.number<uint64_t>(key_count_).raw(keys_.bytes_);
    for (const Tensor& tensor : tensors_) {
      file.string(tensor.name).number(static_cast<uint32_t>(tensor.dims.size()));
      for (const uint64_t dim : tensor.dims) file.number(dim);
      file.number(tensor.type).number(tensor.offset);
    }
    const size_t data_start = file.pad(alignment_).bytes_.size();
    for (const Tensor& tensor : tensors_) {
      if (tensor.offset > (1u << 20)) continue;  // a wrong one
      const size_t end = data_start + tensor.offset + tensor.data.size();
      if (file.bytes_.size() < end) file.bytes_.resize(end);
      std::memcpy(file.bytes_.data() + data_start + tensor.offset, tensor.data.data(),
                  tensor.data.size());
    }
    return file.bytes_;
  }

  uint32_t magic_ = 0x46554747;
  uint32_t version_ = 3;
  uint64_t tensor_count_ = 0;  ///< 0: as many as there are
  uint64_t key_count_ = 0;
  uint64_t alignment_ = 32;
  std::vector<Tensor> tensors_;

 private:
  ByteWriter keys_;
};

}  // namespace mokume::testing
