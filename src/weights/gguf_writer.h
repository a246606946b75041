// Writes GGUF v3 files. Format: ggml's docs/gguf.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "tensor/dtype.h"
#include "weights/weight_writer.h"

namespace mokume {

/// A metadata value, stored in exactly the type it has here. Readers are particular: llama.cpp
/// wants most counts as uint32_t, reals as float and token_type as std::vector<int32_t>.
using GgufValue = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                               std::string, uint64_t, int64_t, double, std::vector<uint8_t>,
                               std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                               std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>,
                               std::vector<bool>, std::vector<std::string>, std::vector<uint64_t>,
                               std::vector<int64_t>, std::vector<double>>;

/// Make lists of these inside functions: as constants of a namespace they cost g++ 12 gigabytes.
struct GgufKeyValue {
  std::string key;
  GgufValue value;
};

/// A tensor to write. The last dimension varies fastest, as in a TensorView (GGUF's own order is
/// the other way round), and holds whole blocks.
struct GgufTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  ///< 1 to 4 dimensions
};

/// Bytes of the tensor's data; InvalidArgument when GGUF has no such type (F8_E4M3, E2M1) or the
/// shape is none of it.
Result<uint64_t> gguf_bytes(const GgufTensor& tensor);

/// One file at `path`, the data in the order given, each at a multiple of 32 bytes. Keys and names
/// are printable ASCII, each once; names have at most 63 characters, as ggml wants it. The key
/// general.alignment is not taken.
Result<std::unique_ptr<WeightWriter>> create_gguf_file(const std::string& path,
                                                       std::span<const GgufKeyValue> metadata,
                                                       std::span<const GgufTensor> tensors);

}  // namespace mokume
