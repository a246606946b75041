#include "kernels/cpu/packed.h"

#include <bit>
#include <cstring>

#include "kernels/common/half.h"

namespace mokume::kernels {
namespace {

template <typename T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

/// As the kernels read it: see unit().
float e4m3_as_half(uint8_t byte) {
  return half_to_float(static_cast<uint16_t>((byte & 0x80) << 8 | (byte & 0x7f) << 7));
}

float float_value(Format format, const uint8_t* panel, size_t element) {
  switch (format) {
    case Format::kF32:
      return load<float>(panel + element * 4);
    case Format::kF16:
      return half_to_float(load<uint16_t>(panel + element * 2));
    case Format::kBF16:
      return bfloat16_to_float(load<uint16_t>(panel + element * 2));
    default:
      return e4m3_as_half(panel[element]);
  }
}

/// Entry `index` of a block's scales or minimums.
float scale_value(Scales type, const uint8_t* scales, int index) {
  switch (type) {
    case Scales::kNone:
      return 1;
    case Scales::kF16:
      return half_to_float(load<uint16_t>(scales + index * 2));
    case Scales::kF32:
      return load<float>(scales + index * 4);
    case Scales::kE4M3:
      return e4m3_as_half(scales[index]);
    case Scales::kE8M0: {
      const uint32_t e = scales[index];
      return std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
    }
  }
  return 0;
}

/// Column `i` of a group of row `lane`, without the zero.
int quant_value(const Layout& layout, const uint8_t* quants, int lane, int i) {
  if (layout.quants == Quants::kBytes) return quants[i / 4 * 64 + lane * 4 + i % 4] - layout.zero;
  const int half = layout.group / 2;
  const uint8_t byte = quants[i % half / 4 * 64 + lane * 4 + i % 4];
  const int nibble = i < half ? byte & 15 : byte >> 4;
  const int level = layout.levels == Levels::kDoubledE2m1 ? kDoubledE2m1[nibble]
                    : layout.levels == Levels::kIq4Nl     ? kIq4Nl[nibble]
                                                          : nibble;
  return level - layout.zero;
}

}  // namespace

float packed_value(const PackedMatrix& matrix, int row, int column) {
  const Format format = matrix.format;
  const uint8_t* panel = matrix.panel(row / kPanelRows);
  const int lane = row % kPanelRows;
  const float factor = has_row_scales(format)
                           ? load<float>(panel + matrix.row_scales_at() + lane * sizeof(float))
                           : matrix.factor;
  if (!is_quantized(format)) {
    const size_t element = static_cast<size_t>(column) * kPanelRows + lane;
    return float_value(format, panel, element) * unit(format) * factor;
  }
  const Layout l = layout(format);
  const uint8_t* block = panel + static_cast<size_t>(column / kBlock) * block_bytes(format);
  const int group = column % kBlock / l.group;
  const int q = quant_value(l, block + group * group_quants_bytes(format), lane, column % l.group);
  const int scale = group * kPanelRows + lane;
  float value = scale_value(l.scales, block + scales_at(format), scale) * static_cast<float>(q);
  if (l.minimums) value += scale_value(l.scales, block + minimums_at(format), scale);
  return value * unit(format) * factor;
}

}  // namespace mokume::kernels
