#include "kernels/cpu/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>
#include <optional>

#include "kernels/common/half.h"
#include "kernels/cpu/pack_rows.h"

namespace mokume::kernels {
namespace {

constexpr uint32_t kSignBits = 0x80808080u;  // value + 128 of four int8

void pack_floats(const RowToPack& row, size_t size) {
  for (int k = 0; k < row.shape.columns; ++k) {
    std::memcpy(row.panel + (static_cast<size_t>(k) * kPanelRows + row.lane) * size,
                row.source + k * size, size);
  }
}

void store_row_scale(const RowToPack& row) {
  std::memcpy(row.panel + row.shape.row_scales_at() + row.lane * sizeof(float), row.scales,
              sizeof(float));
}

// The panel's bytes are the source's with the bits `flipped`. Columns past the last are 0, as are
// the activations that they meet.
void pack_int8(const RowToPack& row, uint32_t flipped) {
  store_row_scale(row);
  for (int begin = 0; begin < row.shape.columns; begin += kGroup) {
    const GroupTarget target = target_of(row, begin / kGroup);
    const int end = std::min(begin + kGroup, row.shape.columns);
    for (int k = begin; k < end; k += 4) {
      uint32_t quad = kSignBits ^ flipped;
      std::memcpy(&quad, row.source + k, static_cast<size_t>(std::min(4, end - k)));
      store_quad(target, (k - begin) / 4, quad ^ flipped);
    }
  }
}

// {f16 d; i8 q[32]}
void pack_q8_0(const RowToPack& row) {
  const uint8_t* block = row.source;
  for (int g = 0; g < row.shape.columns / kGroup; ++g, block += 34) {
    const GroupTarget target = target_of(row, g);
    std::memcpy(target.scale, block, 2);
    for (int v = 0; v < 8; ++v) store_quad(target, v, load_u32(block + 2 + v * 4) ^ kSignBits);
  }
}

// Scales (and minimums) of `header` bytes each, then 16 bytes of which byte j holds elements j and
// j + 16, as the panel does.
void pack_nibbles(const RowToPack& row, size_t header, bool minimums) {
  const uint8_t* block = row.source;
  for (int g = 0; g < row.shape.columns / kGroup; ++g) {
    const GroupTarget target = target_of(row, g);
    std::memcpy(target.scale, block, header);
    block += header;
    if (minimums) {
      std::memcpy(target.minimum, block, header);
      block += header;
    }
    for (int v = 0; v < 4; ++v, block += 4) store_quad(target, v, load_u32(block));
  }
}

// {u8 scales[4]; u8 nibbles[32]}: four groups of 16 in 8 bytes each, byte j elements j and j + 8.
// A scale's top bit stands for nothing and its NaN for 0.
void pack_nvfp4(const RowToPack& row) {
  const uint8_t* block = row.source;
  for (int g = 0; g < row.shape.columns / 16; ++g) {
    const GroupTarget target = target_of(row, g);
    const int scale = block[g % 4] & 0x7f;
    *target.scale = static_cast<uint8_t>(scale == 0x7f ? 0 : scale);
    const uint8_t* nibbles = block + 4 + g % 4 * 8;
    store_quad(target, 0, load_u32(nibbles));
    store_quad(target, 1, load_u32(nibbles + 4));
    if (g % 4 == 3) block += 36;
  }
}

/// The eight nibbles, lowest first, each in a byte of its own.
uint64_t spread_nibbles(uint32_t nibbles) {
  uint64_t x = nibbles;
  x = (x | x << 16) & 0x0000ffff0000ffffull;
  x = (x | x << 8) & 0x00ff00ff00ff00ffull;
  return (x | x << 4) & 0x0f0f0f0f0f0f0f0full;
}

// Bytes of two neighbours, the even one low.
void pack_e2m1(const RowToPack& row) {
  for (int g = 0; g < row.shape.columns / 16; ++g) {
    const GroupTarget target = target_of(row, g);
    *target.scale = row.scales[g];
    const uint64_t pairs = spread_nibbles(load_u32(row.source + g * 8)) |
                           spread_nibbles(load_u32(row.source + g * 8 + 4)) << 4;
    store_quad(target, 0, static_cast<uint32_t>(pairs));
    store_quad(target, 1, static_cast<uint32_t>(pairs >> 32));
  }
}

// The group's exponent is that of its largest value, which becomes one of 13 bits.
void pack_rounded(const RowToPack& row) {
  for (int begin = 0; begin < row.shape.columns; begin += kGroup) {
    const GroupTarget target = target_of(row, begin / kGroup);
    const int count = std::min(kGroup, row.shape.columns - begin);
    float values[kGroup] = {}, largest = 0;
    for (int k = 0; k < count; ++k) {
      uint16_t bits;
      std::memcpy(&bits, row.source + static_cast<size_t>(begin + k) * 2, 2);
      values[k] = half_to_float(bits);
      largest = std::max(largest, std::fabs(values[k]));
    }
    int exponent = 0;
    std::frexp(largest, &exponent);
    exponent -= std::bit_width(static_cast<unsigned>(kWordLimit));
    *target.scale = static_cast<uint8_t>(largest > 0 ? exponent + 127 : 0);
    const float inverse = std::ldexp(1.0f, -exponent);
    for (int k = 0; k < kGroup; ++k) {
      const auto quant = static_cast<int16_t>(std::lrintf(values[k] * inverse));
      std::memcpy(target.quants + k / 2 * 64 + k % 2 * 2, &quant, 2);
    }
  }
}

void pack_row(SourceType type, const RowToPack& row) {
  switch (type) {
    case SourceType::kF16Rounded:
      return pack_rounded(row);
    case SourceType::kF32:
      return pack_floats(row, 4);
    case SourceType::kF16:
    case SourceType::kBF16:
      return pack_floats(row, 2);
    case SourceType::kF8:
      store_row_scale(row);
      return pack_floats(row, 1);
    case SourceType::kI8:
      return pack_int8(row, kSignBits);
    case SourceType::kI8Plus128:
      return pack_int8(row, 0);
    case SourceType::kQ8_0:
      return pack_q8_0(row);
    case SourceType::kQ4_0:
    case SourceType::kIQ4_NL:
      return pack_nibbles(row, 2, false);
    case SourceType::kQ4_1:
      return pack_nibbles(row, 2, true);
    case SourceType::kMXFP4:
      return pack_nibbles(row, 1, false);
    case SourceType::kNVFP4:
      return pack_nvfp4(row);
    case SourceType::kE2M1:
      return pack_e2m1(row);
    default:
      return pack_block_row(type, row);
  }
}

struct TypeInfo {
  Format format;
  int columns;
  size_t bytes;
};

// In the order of SourceType.
constexpr TypeInfo kTypes[] = {
    {Format::kF32, 1, 4},      {Format::kF16, 1, 2},      {Format::kBF16, 1, 2},
    {Format::kQ8_0, 32, 34},   {Format::kQ4_0, 32, 18},   {Format::kQ4_1, 32, 20},
    {Format::kQ5_0, 32, 22},   {Format::kQ5_1, 32, 24},   {Format::kQ4_K, 256, 144},
    {Format::kQ5_K, 256, 176}, {Format::kQ6_K, 256, 210}, {Format::kIQ4_NL, 32, 18},
    {Format::kMXFP4, 32, 17},  {Format::kNVFP4, 64, 36},  {Format::kInt8, 1, 1},
    {Format::kF8, 1, 1},       {Format::kNVFP4, 16, 8},   {Format::kInt8, 1, 1},
    {Format::kInt16, 1, 2},
};
static_assert(std::size(kTypes) == static_cast<size_t>(SourceType::kF16Rounded) + 1);

const TypeInfo& info(SourceType type) { return kTypes[static_cast<size_t>(type)]; }

/// Bytes of one row's scales in their own matrix.
size_t scale_row_bytes(const SourceMatrix& source, int columns) {
  if (!source.scales) return 0;
  return source.type == SourceType::kE2M1 ? static_cast<size_t>(columns) / 16 : sizeof(float);
}

}  // namespace

Format packed_format(SourceType type) { return info(type).format; }
int source_block_columns(SourceType type) { return info(type).columns; }
size_t source_block_bytes(SourceType type) { return info(type).bytes; }

void pack_panel(const PackedMatrix& shape, int index, const SourceMatrix& source, uint8_t* panel) {
  const int first = index * kPanelRows;
  const int rows = std::min(kPanelRows, shape.rows - first);
  // Rows and groups that are not there have scale 0 and minimum 0.
  const bool padded = rows < kPanelRows || shape.columns % block_columns(shape.format) != 0;
  if (padded) std::memset(panel, 0, shape.panel_bytes());
  const size_t scale_bytes = scale_row_bytes(source, shape.columns);
  std::optional<BlockShape> block;
  if (is_quantized(shape.format)) block.emplace(shape.format);
  for (int r = 0; r < rows; ++r) {
    const size_t row = static_cast<size_t>(first + r);
    const uint8_t* scales = source.scales ? source.scales + row * scale_bytes : nullptr;
    pack_row(source.type, {shape, block ? &*block : nullptr, source.rows + row * source.row_bytes,
                           scales, panel, r});
  }
}

}  // namespace mokume::kernels
