#include "kernels/cpu/packed.h"

#include <algorithm>
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
    case Scales::kInt8:
      return static_cast<int8_t>(scales[index]);
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
  if (layout.quants == Quants::kWords)
    return load<int16_t>(quants + i / 2 * 64 + lane * 4 + i % 2 * 2);
  const int half = layout.group / 2;
  const uint8_t byte = quants[i % half / 4 * 64 + lane * 4 + i % 4];
  const int nibble = i < half ? byte & 15 : byte >> 4;
  if (const int bits = high_bits(layout.quants)) {
    const uint8_t high = quants[half / 4 * 64 + lane * 4 + i % 4];
    return nibble + 16 * (high >> (bits * (i / 4)) & ((1 << bits) - 1)) - layout.zero;
  }
  const int level = layout.levels == Levels::kDoubledE2m1 ? kDoubledE2m1[nibble]
                    : layout.levels == Levels::kIq4Nl     ? kIq4Nl[nibble]
                                                          : nibble;
  return level - layout.zero;
}

/// What one row's values are made of beside its quants.
class PackedRow {
 public:
  PackedRow(const PackedMatrix& matrix, int row)
      : format_(matrix.format),
        layout_(layout(format_)),
        panel_(matrix.panel(row / kPanelRows)),
        lane_(row % kPanelRows),
        factor_(matrix.factor) {
    if (!has_row_scales(format_)) return;
    factor_ = load<float>(panel_ + matrix.row_scales_at() + lane_ * sizeof(float));
  }

  float element(int column) const {
    const size_t at = static_cast<size_t>(column) * kPanelRows + lane_;
    return float_value(format_, panel_, at) * unit(format_) * factor_;
  }

  /// Columns [first, last), of one group.
  void group(int first, int last, float* out) const {
    const int columns = block_columns(format_);
    const uint8_t* block = panel_ + static_cast<size_t>(first / columns) * block_bytes(format_);
    const int index = first % columns / layout_.group, at = index * kPanelRows + lane_;
    const uint8_t* quants = block + index * group_quants_bytes(format_);
    float scale = scale_value(layout_.scales, block + scales_at(format_), at);
    float minimum =
        layout_.minimums ? scale_value(layout_.scales, block + minimums_at(format_), at) : 0;
    if (has_factors(format_)) {
      const uint8_t* factors = block + factors_at(format_) + lane_ * 2;
      scale *= half_to_float(load<uint16_t>(factors));
      if (layout_.minimums) minimum *= half_to_float(load<uint16_t>(factors + kFactorBytes));
    }
    for (int column = first; column < last; ++column) {
      const int q = quant_value(layout_, quants, lane_, column % layout_.group);
      float value = scale * static_cast<float>(q);
      if (layout_.minimums) value += minimum;
      *out++ = value * unit(format_) * factor_;
    }
  }

  int group_columns() const { return layout_.group; }

 private:
  const Format format_;
  const Layout layout_;
  const uint8_t* const panel_;
  const int lane_;
  float factor_;
};

}  // namespace

float packed_value(const PackedMatrix& matrix, int row, int column) {
  const PackedRow packed(matrix, row);
  if (!is_quantized(matrix.format)) return packed.element(column);
  float value;
  packed.group(column, column + 1, &value);
  return value;
}

void unpack_row(const PackedMatrix& matrix, int row, float* out) {
  const PackedRow packed(matrix, row);
  if (!is_quantized(matrix.format)) {
    for (int column = 0; column < matrix.columns; ++column) out[column] = packed.element(column);
    return;
  }
  const int step = packed.group_columns();
  for (int first = 0; first < matrix.columns; first += step) {
    packed.group(first, std::min(first + step, matrix.columns), out + first);
  }
}

}  // namespace mokume::kernels
