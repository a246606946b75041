// From ggml's block types to the Int8 formats. Layouts: ggml-common.h; all numbers little endian.
#include <cstring>

#include "kernels/common/half.h"
#include "kernels/cpu/pack_rows.h"

namespace mokume::kernels {
namespace {

constexpr int kSuperBlock = 256;  ///< columns of a K type's block

/// A block as the Int8 formats hold it: value = scale * quant + minimum, group by group. Scales are
/// products of at most 19 bits and so exact in float32.
struct Decoded {
  int8_t quants[kSuperBlock];
  float scales[kSuperBlock / 16];
  float minimums[kSuperBlock / kGroup];
};

float load_half(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return half_to_float(bits);
}

// {f16 d; u32 fifth bits; u8 nibbles[16]}, in Q5_1 {f16 d; f16 m; ...}; byte j: elements j, j + 16.
void decode_q5(const uint8_t* fifth_bits, int zero, Decoded& out) {
  const uint32_t high = load_u32(fifth_bits);
  const uint8_t* nibbles = fifth_bits + 4;
  for (int j = 0; j < 16; ++j) {
    const int low = static_cast<int>((nibbles[j] & 15u) | (high >> j & 1u) << 4);
    const int upper = static_cast<int>(nibbles[j] >> 4 | (high >> (j + 16) & 1u) << 4);
    out.quants[j] = static_cast<int8_t>(low - zero);
    out.quants[j + 16] = static_cast<int8_t>(upper - zero);
  }
}

void decode_q5_0(const uint8_t* block, Decoded& out) {
  out.scales[0] = load_half(block);
  decode_q5(block + 2, 16, out);
}

void decode_q5_1(const uint8_t* block, Decoded& out) {
  out.scales[0] = load_half(block);
  out.minimums[0] = load_half(block + 2);
  decode_q5(block + 4, 0, out);
}

// {f16 d; f16 dmin; u8 packed[12]} of Q4_K and Q5_K: 8 pairs of 6-bit scale and minimum. Pairs 0..3
// are the low 6 bits of bytes 0..3 and 4..7; pairs 4..7 have their low 4 bits in the nibbles of
// bytes 8..11 and their high 2 in the tops of the bytes of pair - 4.
void decode_k_scales(const uint8_t* header, Decoded& out) {
  const float d = load_half(header), dmin = load_half(header + 2);
  const uint8_t* packed = header + 4;
  for (int g = 0; g < 4; ++g) {
    const uint8_t a = packed[g], b = packed[g + 4], c = packed[g + 8];
    out.scales[g] = d * static_cast<float>(a & 63);
    out.minimums[g] = -(dmin * static_cast<float>(b & 63));
    out.scales[g + 4] = d * static_cast<float>((c & 15) | a >> 6 << 4);
    out.minimums[g + 4] = -(dmin * static_cast<float>(c >> 4 | b >> 6 << 4));
  }
}

// Then u8 nibbles[128]: 32 bytes hold two groups of 32, the low and the high nibbles.
void decode_q4_k(const uint8_t* block, Decoded& out) {
  decode_k_scales(block, out);
  for (int i = 0; i < kSuperBlock / 2; ++i) {
    const uint8_t byte = block[16 + i];
    int8_t* low = out.quants + i / 32 * 64 + i % 32;
    low[0] = static_cast<int8_t>(byte & 15);
    low[32] = static_cast<int8_t>(byte >> 4);
  }
}

// As Q4_K with u8 fifth[32] before the nibbles: bit g of byte l belongs to element l of group g.
void decode_q5_k(const uint8_t* block, Decoded& out) {
  decode_k_scales(block, out);
  const uint8_t* fifth = block + 16;
  for (int i = 0; i < kSuperBlock / 2; ++i) {
    const uint8_t byte = block[48 + i];
    const int group = i / 32 * 2, l = i % 32;
    int8_t* low = out.quants + group * 32 + l;
    low[0] = static_cast<int8_t>((byte & 15) | (fifth[l] >> group & 1) << 4);
    low[32] = static_cast<int8_t>((byte >> 4) | (fifth[l] >> (group + 1) & 1) << 4);
  }
}

// {u8 nibbles[128]; u8 high[64]; i8 scales[16]; f16 d}, in two halves of 128 elements: 64 bytes of
// nibbles are quarters 0 and 1 (low) and 2 and 3 (high), bits 2q and 2q + 1 of 32 bytes of `high`
// go on top of quarter q.
void decode_q6_k(const uint8_t* block, Decoded& out) {
  const float d = load_half(block + 208);
  for (int g = 0; g < 16; ++g) {
    out.scales[g] = d * static_cast<float>(static_cast<int8_t>(block[192 + g]));
  }
  for (int half = 0; half < 2; ++half) {
    const uint8_t* nibbles = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    for (int q = 0; q < 4; ++q) {
      for (int l = 0; l < 32; ++l) {
        const int low = nibbles[q % 2 * 32 + l] >> (q / 2 * 4) & 15;
        const int top = high[l] >> (2 * q) & 3;
        out.quants[half * 128 + q * 32 + l] = static_cast<int8_t>((low | top << 4) - 32);
      }
    }
  }
}

/// Group `from` of a decoded block becomes the row's group at `column` of the matrix.
void write_group(const RowToPack& row, const Decoded& decoded, int from, int column) {
  const Format format = row.shape.format;
  const int columns = layout(format).group;
  const GroupTarget target = target_of(row, column / columns);
  for (int i = 0; i < columns; ++i) {
    target.quants[i / 4 * 64 + i % 4] =
        static_cast<uint8_t>(decoded.quants[from * columns + i]) ^ 0x80;
  }
  std::memcpy(target.scale, &decoded.scales[from], sizeof(float));
  if (layout(format).minimums) std::memcpy(target.minimum, &decoded.minimums[from], sizeof(float));
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
