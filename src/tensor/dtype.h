// Element types of tensors, the block-quantized ones of GGUF included.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mokume {

enum class DType : uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_1 };

/// How a type lies in memory: rows are whole blocks of `block_elements` in `block_bytes`.
/// Quantized layouts are ggml's (ggml-common.h): Q8_0 {f16 d; i8 q[32]}, Q4_0 {f16 d; u8 q[16]}
/// with value (q-8)*d, Q4_1 {f16 d; f16 m; u8 q[16]} with value q*d+m; nibble j low is element j,
/// high element j+16.
struct DTypeInfo {
  std::string_view name;
  int block_elements;
  int block_bytes;
};

const DTypeInfo& dtype_info(DType type);

/// Bytes of a row of `elements`; empty when that is no whole number of blocks or overflows.
std::optional<uint64_t> row_bytes(DType type, uint64_t elements);

}  // namespace mokume
