// From ggml's blocks of five bits and of 256 columns to panels. Layouts: ggml-common.h; all numbers
// little endian.
#include <cstring>

#include "kernels/cpu/pack_rows.h"

namespace mokume::kernels {
namespace {

/// A block, group by group.
struct Decoded {
  uint8_t quants[kSuperBlock];  ///< from 0
  uint8_t scales[16];           ///< of the packed format's type, one behind the other
  uint8_t minimums[16];         ///< as scales
  uint8_t factors[2][2];        ///< f16, of the scales and of the minimums
};

// {f16 d; u32 fifth bits; u8 nibbles[16]}, in Q5_1 {f16 d; f16 m; ...}; byte j: elements j, j + 16.
void decode_q5(const uint8_t* fifth_bits, Decoded& out) {
  const uint32_t high = load_u32(fifth_bits);
  const uint8_t* nibbles = fifth_bits + 4;
  for (int j = 0; j < 16; ++j) {
    out.quants[j] = static_cast<uint8_t>((nibbles[j] & 15u) | (high >> j & 1u) << 4);
    out.quants[j + 16] = static_cast<uint8_t>(nibbles[j] >> 4 | (high >> (j + 16) & 1u) << 4);
  }
}

void decode_q5_0(const uint8_t* block, Decoded& out) {
  std::memcpy(out.scales, block, 2);
  decode_q5(block + 2, out);
}

void decode_q5_1(const uint8_t* block, Decoded& out) {
  std::memcpy(out.scales, block, 2);
  std::memcpy(out.minimums, block + 2, 2);
  decode_q5(block + 4, out);
}

// {f16 d; f16 dmin; u8 packed[12]} of Q4_K and Q5_K: 8 pairs of 6-bit scale and minimum. Pairs 0..3
// are the low 6 bits of bytes 0..3 and 4..7; pairs 4..7 have their low 4 bits in the nibbles of
// bytes 8..11 and their high 2 in the tops of the bytes of pair - 4. The file's minimums are taken
// off, ours are added.
void decode_k_scales(const uint8_t* header, Decoded& out) {
  const uint8_t* packed = header + 4;
  std::memcpy(out.factors, header, sizeof(out.factors));
  out.factors[1][1] ^= 0x80;  // the sign
  for (int g = 0; g < 4; ++g) {
    const int a = packed[g], b = packed[g + 4], c = packed[g + 8];
    out.scales[g] = static_cast<uint8_t>(a & 63);
    out.minimums[g] = static_cast<uint8_t>(b & 63);
    out.scales[g + 4] = static_cast<uint8_t>((c & 15) | a >> 6 << 4);
    out.minimums[g + 4] = static_cast<uint8_t>(c >> 4 | b >> 6 << 4);
  }
}

// Then u8 nibbles[128]: 32 bytes hold two groups of 32, the low and the high nibbles.
void decode_q4_k(const uint8_t* block, Decoded& out) {
  decode_k_scales(block, out);
  for (int i = 0; i < kSuperBlock / 2; ++i) {
    const uint8_t byte = block[16 + i];
    uint8_t* low = out.quants + i / 32 * 64 + i % 32;
    low[0] = static_cast<uint8_t>(byte & 15);
    low[32] = static_cast<uint8_t>(byte >> 4);
  }
}

// As Q4_K with u8 fifth[32] before the nibbles: bit g of byte l belongs to element l of group g.
void decode_q5_k(const uint8_t* block, Decoded& out) {
  decode_k_scales(block, out);
  const uint8_t* fifth = block + 16;
  for (int i = 0; i < kSuperBlock / 2; ++i) {
    const uint8_t byte = block[48 + i];
    const int group = i / 32 * 2, l = i % 32;
    uint8_t* low = out.quants + group * 32 + l;
    low[0] = static_cast<uint8_t>((byte & 15) | (fifth[l] >> group & 1) << 4);
    low[32] = static_cast<uint8_t>((byte >> 4) | (fifth[l] >> (group + 1) & 1) << 4);
  }
}

// {u8 nibbles[128]; u8 high[64]; i8 scales[16]; f16 d}, in two halves of 128 elements: 64 bytes of
// nibbles are quarters 0 and 1 (low) and 2 and 3 (high), bits 2q and 2q + 1 of 32 bytes of `high`
// go on top of quarter q.
void decode_q6_k(const uint8_t* block, Decoded& out) {
  std::memcpy(out.scales, block + 192, 16);
  std::memcpy(out.factors, block + 208, 2);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* nibbles = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    for (int q = 0; q < 4; ++q) {
      for (int l = 0; l < 32; ++l) {
        const int low = nibbles[q % 2 * 32 + l] >> (q / 2 * 4) & 15;
        const int top = high[l] >> (2 * q) & 3;
        out.quants[half * 128 + q * 32 + l] = static_cast<uint8_t>(low | top << 4);
      }
    }
  }
}

/// Group `from` of a decoded block becomes the row's group at `column` of the matrix.
void write_group(const RowToPack& row, const Decoded& decoded, int from, int column) {
  const Format format = row.shape.format;
  const int columns = layout(format).group, half = columns / 2;
  const int bits = high_bits(layout(format).quants);
  const size_t scale = scale_bytes(format);
  const uint8_t* quants = decoded.quants + from * columns;
  const GroupTarget target = target_of(row, column / columns);
  for (int i = 0; i < half; ++i) {
    target.quants[i / 4 * 64 + i % 4] =
        static_cast<uint8_t>((quants[i] & 15) | (quants[half + i] & 15) << 4);
  }
  for (int i = 0; bits > 0 && i < 4; ++i) {
    int high = 0;
    for (int quad = 0; quad < columns / 4; ++quad)
      high |= quants[4 * quad + i] >> 4 << (bits * quad);
    target.quants[group_low_bytes(format) + i] = static_cast<uint8_t>(high);
  }
  std::memcpy(target.scale, decoded.scales + from * scale, scale);
  if (layout(format).minimums) std::memcpy(target.minimum, decoded.minimums + from * scale, scale);
  if (!has_factors(format)) return;
  std::memcpy(target.factors, decoded.factors[0], 2);
  if (layout(format).minimums) std::memcpy(target.factors + kFactorBytes, decoded.factors[1], 2);
}

using Decode = void (*)(const uint8_t*, Decoded&);

Decode decoder(SourceType type) {
  switch (type) {
    case SourceType::kQ5_0:
      return decode_q5_0;
    case SourceType::kQ5_1:
      return decode_q5_1;
    case SourceType::kQ4_K:
      return decode_q4_k;
    case SourceType::kQ5_K:
      return decode_q5_k;
    default:
      return decode_q6_k;
  }
}

}  // namespace

void pack_block_row(SourceType type, const RowToPack& row) {
  const Decode decode = decoder(type);
  const int columns = source_block_columns(type), group = layout(row.shape.format).group;
  const uint8_t* block = row.source;
  Decoded decoded;
  for (int begin = 0; begin < row.shape.columns; begin += columns) {
    decode(block, decoded);
    for (int g = 0; g < columns / group; ++g) write_group(row, decoded, g, begin + g * group);
    block += source_block_bytes(type);
  }
}

}  // namespace mokume::kernels
