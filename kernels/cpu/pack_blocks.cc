// From ggml's block types to the Int8 formats. Layouts: ggml-common.h; all numbers little endian.
#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/common/half.h"
#include "kernels/cpu/block_types.h"

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

uint32_t load_u32(const uint8_t* p) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return bits;
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

// Nibbles that index a table of 16 values; byte j of a group: elements j and j + count.
void decode_table(const uint8_t* nibbles, int count, const int8_t (&table)[16], int8_t* out) {
  for (int j = 0; j < count; ++j) {
    out[j] = table[nibbles[j] & 15];
    out[j + count] = table[nibbles[j] >> 4];
  }
}

constexpr int8_t kIq4Nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
constexpr int8_t kDoubledE2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// {f16 d; u8 nibbles[16]}
void decode_iq4_nl(const uint8_t* block, Decoded& out) {
  out.scales[0] = load_half(block);
  decode_table(block + 2, 16, kIq4Nl, out.quants);
}

// {u8 e; u8 nibbles[16]}: scale 2^(e-127), halved here because the quants are doubled.
void decode_mxfp4(const uint8_t* block, Decoded& out) {
  const uint32_t e = block[0];
  out.scales[0] = std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
  decode_table(block + 1, 16, kDoubledE2m1, out.quants);
}

// Half of an unsigned E4M3 (bias 7); the top bit is ignored, 0x7f (NaN) stands for 0.
float half_of_ue4m3(uint8_t byte) {
  const int exponent = byte >> 3 & 15, mantissa = byte & 7;
  if ((byte & 0x7f) == 0x7f) return 0;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  const auto power = std::bit_cast<float>(static_cast<uint32_t>(exponent + 127 - 7 - 4) << 23);
  return static_cast<float>(8 + mantissa) * power;
}

// {u8 scales[4]; u8 nibbles[32]}: four groups of 16 in 8 bytes each.
void decode_nvfp4(const uint8_t* block, Decoded& out) {
  for (int g = 0; g < 4; ++g) {
    out.scales[g] = half_of_ue4m3(block[g]);
    decode_table(block + 4 + g * 8, 8, kDoubledE2m1, out.quants + g * 16);
  }
}

struct Layout {
  Format format;
  int columns;
  size_t bytes;
  void (*decode)(const uint8_t*, Decoded&);
};

// In the order of BlockType.
constexpr Layout kLayouts[] = {
    {Format::kInt8G32, 32, 22, decode_q5_0},      {Format::kInt8G32Min, 32, 24, decode_q5_1},
    {Format::kInt8G32Min, 256, 144, decode_q4_k}, {Format::kInt8G32Min, 256, 176, decode_q5_k},
    {Format::kInt8G16, 256, 210, decode_q6_k},    {Format::kInt8G32, 32, 18, decode_iq4_nl},
    {Format::kInt8G32, 32, 17, decode_mxfp4},     {Format::kInt8G16, 64, 36, decode_nvfp4},
};

const Layout& layout_of(BlockType type) { return kLayouts[static_cast<size_t>(type)]; }

/// Group `from` of a decoded block becomes the row's group at `column` of the matrix.
void write_group(const PackedMatrix& shape, const Decoded& decoded, int from, float tensor_scale,
                 int row, int column, uint8_t* panel) {
  const Format format = shape.format;
  const int columns = group_columns(format);
  uint8_t* block = panel + static_cast<size_t>(column / kBlock) * block_bytes(format);
  for (int i = 0; i < columns; ++i) {
    const int at = column % kBlock + i;
    block[static_cast<size_t>(at / 4) * 64 + row * 4 + at % 4] =
        static_cast<uint8_t>(decoded.quants[from * columns + i]) ^ 0x80;
  }
  const size_t offset = (column % kBlock / columns * kPanelRows + row) * sizeof(float);
  const float scale = decoded.scales[from] * tensor_scale;
  std::memcpy(block + quants_bytes(format) + offset, &scale, sizeof(scale));
  if (!has_minimums(format)) return;
  const float minimum = decoded.minimums[from] * tensor_scale;
  std::memcpy(block + minimums_at(format) + offset, &minimum, sizeof(minimum));
}

}  // namespace

Format packed_format(BlockType type) { return layout_of(type).format; }
int source_block_columns(BlockType type) { return layout_of(type).columns; }
size_t source_block_bytes(BlockType type) { return layout_of(type).bytes; }

void pack_block_panel(const PackedMatrix& shape, int index, BlockType type, const uint8_t* source,
                      size_t row_bytes, float tensor_scale, uint8_t* panel) {
  const Layout& layout = layout_of(type);
  const int first = index * kPanelRows;
  const int rows = std::min(kPanelRows, shape.rows - first);
  const int group = group_columns(shape.format);
  // Rows and groups that are not there have scale 0 and minimum 0.
  if (rows < kPanelRows || shape.columns % kBlock != 0) std::memset(panel, 0, shape.panel_bytes());
  Decoded decoded;
  for (int r = 0; r < rows; ++r) {
    const uint8_t* block = source + static_cast<size_t>(first + r) * row_bytes;
    for (int begin = 0; begin < shape.columns; begin += layout.columns, block += layout.bytes) {
      layout.decode(block, decoded);
      for (int g = 0; g < layout.columns / group; ++g) {
        write_group(shape, decoded, g, tensor_scale, r, begin + g * group, panel);
      }
    }
  }
}

}  // namespace mokume::kernels
