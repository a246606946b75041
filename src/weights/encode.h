// Rows of float32 weights in the formats that checkpoints store: the arithmetic that every
// converter and quantizer here shares. Each function takes finite values; rows are independent of
// each other.
#pragma once

#include <cstdint>
#include <span>

namespace mokume {

/// Symmetric int8: values[i] = round(row[i] / scale) in [-127, 127], scale = max|row| / 127; 1 for
/// a row of zeros. compressed-tensors "int-quantized", one scale a channel.
float encode_int8_row(std::span<const float> row, std::span<int8_t> values);

/// The divisor of an NVFP4 tensor whose largest magnitude is `largest`: 448 * 6 / largest, so that
/// the largest block scale is the largest E4M3; 1 for a tensor of zeros, at most 2^100.
float nvfp4_divisor(float largest);

/// The E4M3 scale in [1, 126] of a block [16] with the least sum of importance[i] * error[i]^2
/// among those near max|block| / 6, the other way to hit the largest element, max|block| / 4, among
/// them. An empty `importance` counts every column alike and clips no element.
uint8_t nvfp4_block_scale(std::span<const float> block, std::span<const float> importance,
                          float divisor);

/// NVFP4 as compressed-tensors has it: `scales` E4M3 [K/16], `values` E2M1 [K/2] with the even
/// column in the low nibble; an element is e2m1 * (e4m3 / divisor). K is a multiple of 16. A
/// block's scale is the one of least squared error from max|block| / 6 to max|block| / 4; never 0.
void encode_nvfp4_row(std::span<const float> row, float divisor, std::span<uint8_t> values,
                      std::span<uint8_t> scales);

/// GGUF Q8_0 {f16 d; i8 q[32]}; K is a multiple of 32, `blocks` holds K / 32 * 34 bytes.
void encode_q8_0_row(std::span<const float> row, std::span<uint8_t> blocks);

/// GGUF NVFP4 blocks of 64 {u8 s[4]; u8 q[32]} from the rows that encode_nvfp4_row wrote. K is a
/// multiple of 64.
void to_gguf_nvfp4_row(std::span<const uint8_t> values, std::span<const uint8_t> scales,
                       std::span<uint8_t> blocks);

/// Round to nearest, ties to even; what is too large for the format becomes infinite.
void encode_f16_row(std::span<const float> row, std::span<uint16_t> out);
void encode_bf16_row(std::span<const float> row, std::span<uint16_t> out);

}  // namespace mokume
