// The formats of matrix.h as operands of tensor cores: 16-bit elements, two in a word, four columns
// ("a quad") of 16 bytes of a row at a time.
#pragma once

#include "kernels/cuda/formats.cuh"

namespace mokume::cuda::MKM_TARGET {

MKM_DEVICE uint32_t twice(uint32_t half) { return half | (half << 16); }

template <Format kFormat>
struct Fragment {
  using C = Chunk<kFormat>;
  /// Columns 0, 2 and 1, 3 of a quad share a word; otherwise 0, 1 and 2, 3.
  static constexpr bool kInterleaved = bits(kFormat) == 4 || kFormat == Format::kF8;
  /// What a value still is to be multiplied by, beside the row's scale and the matrix's factor.
  static constexpr float kShort = kFormat == Format::kNvfp4 ? 128.0f
                                  : kFormat == Format::kF8  ? 256.0f
                                                            : 1.0f;
  static constexpr bool kScaled = C::kGroupScale;

  uint32_t scales[C::kGroups];
  uint32_t minimum;

  /// `scale` and `minimum` as a chunk of this format has them.
  MKM_DEVICE Fragment(uint16_t scale, uint16_t least) : scales(), minimum(twice(least)) {
    if constexpr (kFormat == Format::kNvfp4) {
      // E4M3 has the bits of a half of 2^-8 of its value; 2^7 of it are what a half can hold, and
      // products of it with 2^-14 of an E2M1 are exact.
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint32_t byte = scale >> (8 * i);
        const uint32_t half = ((byte & 0x80u) << 8) | ((byte & 0x7fu) << 7);
        scales[i] = multiply_half(twice(half), 0x78007800u);
      }
    } else {
      scales[0] = twice(scale);
    }
  }

  /// Products with a group's scale are rounded to a half, but NVFP4's.
  MKM_DEVICE void quad(const Words4& data, int quad, uint32_t (&out)[2]) const {
    if constexpr (bits(kFormat) == 16) {
      out[0] = data.w[2 * quad];
      out[1] = data.w[2 * quad + 1];
    } else if constexpr (kFormat == Format::kF8) {
      const uint32_t even = data.w[quad] << 8, odd = data.w[quad];
      out[0] = (even & 0x80008000u) | ((even >> 1) & 0x3f803f80u);
      out[1] = (odd & 0x80008000u) | ((odd >> 1) & 0x3f803f80u);
    } else if constexpr (bits(kFormat) == 8) {
      // 1024 + n as a half has n in its lowest bits.
      const uint32_t offset = data.w[quad] ^ 0x80808080u;  // int8 + 128
      out[0] = add_half(pick_bytes(offset, 0x64646464u, 0x4140u), 0xe480e480u);
      out[1] = add_half(pick_bytes(offset, 0x64646464u, 0x4342u), 0xe480e480u);
      if constexpr (kScaled) scale(out, scales[0]);
    } else {
      const uint32_t word = data.w[quad % 4] >> (quad / 4 * 4);
      if constexpr (kFormat == Format::kNvfp4) {
        const uint32_t odd = word >> 8;
        out[0] = ((word << 12) & 0x80008000u) | ((word << 9) & 0x0e000e00u);
        out[1] = ((odd << 12) & 0x80008000u) | ((odd << 9) & 0x0e000e00u);
        scale(out, scales[quad / 4]);
      } else {
        const uint32_t zero = kFormat == Format::kQ4 ? 0xe408e408u : 0xe400e400u;
        out[0] = add_half((word & 0x000f000fu) | 0x64006400u, zero);
        out[1] = add_half(((word >> 8) & 0x000f000fu) | 0x64006400u, zero);
        if constexpr (C::kMinimum) {
          out[0] = madd_half(out[0], scales[0], minimum);
          out[1] = madd_half(out[1], scales[0], minimum);
        } else {
          scale(out, scales[0]);
        }
      }
    }
  }

 private:
  MKM_DEVICE static void scale(uint32_t (&words)[2], uint32_t by) {
    words[0] = multiply_half(words[0], by);
    words[1] = multiply_half(words[1], by);
  }
};

}  // namespace mokume::cuda::MKM_TARGET
