// The formats of matrix.h as kernels read them: 16 bytes of a row at a time.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace mokume::cuda::MKM_TARGET {

/// Four int8 of a word as floats. 2^23 + n has n in its lowest byte.
MKM_DEVICE void bytes_to_floats(uint32_t word, float (&out)[4]) {
  const uint32_t offset = word ^ 0x80808080u;  // int8 + 128
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) {
    out[i] = bits_to_float(pick_bytes(offset, 0x4b000000u, 0x7640u + i)) - 8388736.0f;
  }
}

/// The low nibbles of four bytes as floats, less `zero`. 1024 + n as a half has n in its lowest
/// bits.
MKM_DEVICE void nibbles_to_floats(uint32_t word, float zero, float (&out)[4]) {
  constexpr uint32_t kMagic = 0x64006400u;
  half_pair((word & 0x000f000fu) | kMagic, out[0], out[2]);
  half_pair(((word >> 8) & 0x000f000fu) | kMagic, out[1], out[3]);
#pragma unroll
  for (int i = 0; i < 4; ++i) out[i] -= 1024.0f + zero;
}

/// E2M1 likewise, times 2^-14: a half has the same two bits of exponent at its bottom.
MKM_DEVICE void e2m1_to_floats(uint32_t word, float (&out)[4]) {
  const uint32_t odd = word >> 8;
  half_pair(((word << 12) & 0x80008000u) | ((word << 9) & 0x0e000e00u), out[0], out[2]);
  half_pair(((odd << 12) & 0x80008000u) | ((odd << 9) & 0x0e000e00u), out[1], out[3]);
}

/// 16 bytes of a row and what they are scaled by.
template <Format kFormat>
struct Chunk {
  static constexpr int kColumns = 128 / bits(kFormat);
  static constexpr int kQuads = kColumns / 4;
  static constexpr int kGroups = kFormat == Format::kNvfp4 ? 2 : 1;  ///< scales of a chunk
  static constexpr int kGroupColumns = kColumns / kGroups;
  static constexpr bool kRowScale = kFormat == Format::kInt8 || kFormat == Format::kF8;
  static constexpr bool kGroupScale = scale_group(kFormat) != 0;
  static constexpr bool kMinimum = has_minimums(kFormat);

  Words4 data;
  uint16_t scale;  // of a group; of NVFP4's two
  uint16_t minimum;

  /// Elements 4 `quad` .. 4 `quad` + 3 without their scales; NVFP4's are 2^-14 of them, made good
  /// for by scale_of().
  MKM_DEVICE void levels(int quad, float (&out)[4]) const {
    if constexpr (kFormat == Format::kF32) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out[i] = bits_to_float(data.w[i]);
    } else if constexpr (kFormat == Format::kF16) {
      half_pair(data.w[2 * quad], out[0], out[1]);
      half_pair(data.w[2 * quad + 1], out[2], out[3]);
    } else if constexpr (kFormat == Format::kBF16) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        out[2 * i] = bits_to_float(data.w[2 * quad + i] << 16);
        out[2 * i + 1] = bits_to_float(data.w[2 * quad + i] & 0xffff0000u);
      }
    } else if constexpr (kFormat == Format::kF8) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        out[i] = to_float(Fp8{static_cast<uint8_t>(data.w[quad] >> (8 * i))});
      }
    } else if constexpr (bits(kFormat) == 8) {
      bytes_to_floats(data.w[quad], out);
    } else {
      const uint32_t word = data.w[quad % 4] >> (quad / 4 * 4);
      if constexpr (kFormat == Format::kNvfp4) {
        e2m1_to_floats(word, out);
      } else {
        nibbles_to_floats(word, kFormat == Format::kQ4 ? 8.0f : 0.0f, out);
      }
    }
  }

  /// Of group 0 or 1; `factor` is the matrix's.
  MKM_DEVICE float scale_of(int group, float factor) const {
    if constexpr (kFormat == Format::kNvfp4) {
      const Fp8 e4m3 = {static_cast<uint8_t>(scale >> (8 * group))};
      return to_float(e4m3) * factor * 16384.0f;
    }
    return kGroupScale ? half_bits_to_float(scale) : 1.0f;
  }
  MKM_DEVICE float minimum_of() const { return kMinimum ? half_bits_to_float(minimum) : 0.0f; }
};

/// A matrix's planes.
template <Format kFormat>
struct Rows {
  Ptr<const uint8_t> data;
  Ptr<const uint8_t> scales;
  Ptr<const uint8_t> minimums;
  int chunks;  // of a row
  float factor;

  MKM_DEVICE explicit Rows(const Matrix& matrix)
      : data(global(static_cast<const uint8_t*>(matrix.data))),
        scales(global(static_cast<const uint8_t*>(matrix.scales))),
        minimums(global(static_cast<const uint8_t*>(matrix.minimums))),
        chunks(matrix.columns / Chunk<kFormat>::kColumns),
        factor(matrix.factor) {}

  MKM_DEVICE Chunk<kFormat> load_chunk(int row, int chunk) const {
    // 16 bytes a lane, side by side.
    const ptrdiff_t at = static_cast<ptrdiff_t>(row) * chunks + chunk;
    Chunk<kFormat> out;
    out.data = load_once<Words4>(data + at * 16);
    out.scale = out.minimum = 0;
    if constexpr (kFormat == Format::kQ8) {
      out.scale = load<uint16_t>(scales + at / 2 * 2);
    } else if constexpr (Chunk<kFormat>::kGroupScale) {
      out.scale = load<uint16_t>(scales + at * 2);
    }
    if constexpr (Chunk<kFormat>::kMinimum) out.minimum = load<uint16_t>(minimums + at * 2);
    return out;
  }

  MKM_DEVICE float row_scale(int row) const {
    if constexpr (Chunk<kFormat>::kRowScale) {
      return load<float>(scales + static_cast<ptrdiff_t>(row) * 4);
    }
    return 1.0f;
  }

  /// The chunk's values, the row's scale included.
  MKM_DEVICE void values(int row, int chunk, float (&out)[Chunk<kFormat>::kColumns]) const {
    using C = Chunk<kFormat>;
    const C raw = load_chunk(row, chunk);
    const float scale_of_row = row_scale(row);
#pragma unroll
    for (int quad = 0; quad < C::kQuads; ++quad) {
      float levels[4];
      raw.levels(quad, levels);
      const float scale = raw.scale_of(4 * quad / C::kGroupColumns, factor) * scale_of_row;
#pragma unroll
      for (int i = 0; i < 4; ++i) out[4 * quad + i] = levels[i] * scale + raw.minimum_of();
    }
  }
};

/// Calls body.template operator()<format>() for the format of a matrix.
template <typename Body>
int with_format(Format format, const Body& body) {
  switch (format) {
    case Format::kF32:
      return body.template operator()<Format::kF32>();
    case Format::kF16:
      return body.template operator()<Format::kF16>();
    case Format::kBF16:
      return body.template operator()<Format::kBF16>();
    case Format::kF8:
      return body.template operator()<Format::kF8>();
    case Format::kInt8:
      return body.template operator()<Format::kInt8>();
    case Format::kQ8:
      return body.template operator()<Format::kQ8>();
    case Format::kQ4:
      return body.template operator()<Format::kQ4>();
    case Format::kQ4Min:
      return body.template operator()<Format::kQ4Min>();
    default:
      return body.template operator()<Format::kNvfp4>();
  }
}

}  // namespace mokume::cuda::MKM_TARGET
