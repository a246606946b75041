// Element types of tensors, the block-quantized ones of GGUF included.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mokume {

enum class DType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kMXFP4,
  kNVFP4,
  kI8,
  kF8_E4M3,
  kE2M1,
  kI8Plus128
};

/// How a type lies in memory: rows are whole blocks of `block_elements` in `block_bytes`.
/// Quantized layouts are ggml's (ggml-common.h): Q8_0 {f16 d; i8 q[32]}, Q4_0 {f16 d; u8 q[16]}
/// with value (q-8)*d, Q4_1 {f16 d; f16 m; u8 q[16]} with value q*d+m; nibble j low is element j,
/// high element j+16. Q5_0 and Q5_1 put u32 of fifth bits before q; value (q-16)*d and q*d+m.
/// Q4_K {f16 d; f16 dmin; u8 packed[12]; u8 q[128]}: 8 groups of 32, each with 6-bit scale s and
/// minimum m, value d*s*q - dmin*m; Q5_K puts u8 fifth[32] before q. Q6_K {u8 low[128]; u8
/// high[64]; i8 s[16]; f16 d}: groups of 16, value d*s*(q-32). IQ4_NL {f16 d; u8 q[16]}: 16 uneven
/// levels. MXFP4 {u8 e; u8 q[16]}: E2M1 times 2^(e-127). NVFP4 {u8 s[4]; u8 q[32]}: groups of 16,
/// E2M1 times the unsigned E4M3 s; a scale of the whole tensor is not part of the type.
/// The last four are elements of Hugging Face checkpoints, whose scales are tensors of their own:
/// I8, F8_E4M3 (OCP 8-bit floats, "fn": no infinity), E2M1, two to a byte, the low nibble first,
/// and I8+128: the byte holds the integer plus 128.
struct DTypeInfo {
  std::string_view name;
  int block_elements;
  int block_bytes;
};

const DTypeInfo& dtype_info(DType type);

/// Elements mean nothing without scales that lie elsewhere.
constexpr bool needs_scales(DType type) {
  return type == DType::kI8 || type == DType::kF8_E4M3 || type == DType::kE2M1 ||
         type == DType::kI8Plus128;
}

/// Bytes of a row of `elements`; empty when that is no whole number of blocks or overflows.
std::optional<uint64_t> row_bytes(DType type, uint64_t elements);

}  // namespace mokume
