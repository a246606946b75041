#include "device/cuda/matrix_rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "model/linear.h"
#include "tensor/half.h"

namespace mokume::cuda {
namespace {

/// The levels of IQ4_NL (ggml-common.h: kvalues_iq4nl).
constexpr std::array<int8_t, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

Format format_of(DType type, bool exact) {
  switch (type) {
    case DType::kF32:
      return Format::kF32;
    case DType::kF16:
      return Format::kF16;
    case DType::kBF16:
    case DType::kMXFP4:
      return Format::kBF16;
    case DType::kQ8_0:
    case DType::kQ5_0:
    case DType::kIQ4_NL:
      return Format::kQ8;
    case DType::kQ4_0:
      return Format::kQ4;
    case DType::kQ4_1:
      return Format::kQ4Min;
    case DType::kQ4_K:
      return exact ? Format::kF32 : Format::kQ4Min;
    case DType::kQ5_1:
    case DType::kQ5_K:
    case DType::kQ6_K:
      return exact ? Format::kF32 : Format::kF16;
    case DType::kNVFP4:
    case DType::kE2M1:
      return Format::kNvfp4;
    case DType::kI8:
    case DType::kI8Plus128:
      return Format::kInt8;
    case DType::kF8_E4M3:
      return Format::kF8;
  }
  return Format::kF32;
}

Status check_scale_shape(const Linear& linear) {
  const TensorView& weight = linear.weight;
  if (!needs_scales(weight.dtype)) return absl::OkStatus();
  const bool groups = weight.dtype == DType::kE2M1;
  const int64_t wanted = groups ? weight.rows() * (weight.columns() / 16) : weight.rows();
  const DType type = groups ? DType::kF8_E4M3 : DType::kF32;
  const uint64_t bytes = static_cast<uint64_t>(wanted) * (groups ? 1 : sizeof(float));
  if (linear.scales && linear.scales.dtype == type && linear.scales.bytes == bytes) {
    return absl::OkStatus();
  }
  return invalid_argument("cuda", "tensor ", weight.name, " ", to_string(weight), " needs ", wanted,
                          " scales of type ", dtype_info(type).name, ", and has ",
                          linear.scales ? to_string(linear.scales) : "none");
}

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(value));
}

int nibble(const std::byte* bytes, int index) {
  return std::to_integer<int>(bytes[index / 2]) >> (index % 2 * 4) & 15;
}

/// 32 nibbles as the device has them: j in the low half of byte j, j + 16 in the high.
template <typename At>
void store_nibbles(std::byte* to, const At& at) {
  for (int j = 0; j < 16; ++j) to[j] = static_cast<std::byte>(at(j) | at(j + 16) << 4);
}

/// The source's row, and its blocks.
struct Source {
  const std::byte* row;
  int columns;
  const DTypeInfo& info;

  Source(const TensorView& weight, int64_t index)
      : row(weight.data +
            static_cast<size_t>(index) * (weight.bytes / static_cast<uint64_t>(weight.rows()))),
        columns(static_cast<int>(weight.columns())),
        info(dtype_info(weight.dtype)) {}
  int blocks() const { return columns / info.block_elements; }
  const std::byte* block(int index) const { return row + size_t(index) * info.block_bytes; }
};

/// Q8_0 {f16 d; i8 q[32]}, Q5_0 {f16 d; u32 fifth; u8 q[16]}, IQ4_NL {f16 d; u8 q[16]}.
void write_q8(DType type, const Source& source, const RowPlanes& out) {
  for (int b = 0; b < source.blocks(); ++b) {
    const std::byte* block = source.block(b);
    std::byte* quants = out.data + 32 * b;
    std::memcpy(out.scales + 2 * b, block, 2);
    if (type == DType::kQ8_0) {
      std::memcpy(quants, block + 2, 32);
      continue;
    }
    const uint32_t fifth = type == DType::kQ5_0 ? load<uint32_t>(block + 2) : 0;
    const std::byte* packed = block + (type == DType::kQ5_0 ? 6 : 2);
    for (int i = 0; i < 32; ++i) {
      const int low = std::to_integer<int>(packed[i % 16]) >> (i / 16 * 4) & 15;
      const int value = type == DType::kQ5_0 ? (low | static_cast<int>(fifth >> i & 1) << 4) - 16
                                             : kIq4Levels[static_cast<size_t>(low)];
      store(quants + i, static_cast<int8_t>(value));
    }
  }
}

/// Q4_0 {f16 d; u8 q[16]}, Q4_1 {f16 d; f16 m; u8 q[16]}: the device's own layout.
void write_q4(DType type, const Source& source, const RowPlanes& out) {
  const int header = type == DType::kQ4_1 ? 4 : 2;
  for (int b = 0; b < source.blocks(); ++b) {
    const std::byte* block = source.block(b);
    std::memcpy(out.scales + 2 * b, block, 2);
    if (type == DType::kQ4_1) std::memcpy(out.minimums + 2 * b, block + 2, 2);
    std::memcpy(out.data + 16 * b, block + header, 16);
  }
}

/// A group's 6-bit scale and minimum in Q4_K's 12 packed bytes (ggml-quants.c: get_scale_min_k4).
std::pair<int, int> scale_and_minimum(const std::byte* packed, int group) {
  const auto at = [&](int i) { return std::to_integer<int>(packed[i]); };
  if (group < 4) return {at(group) & 63, at(group + 4) & 63};
  return {(at(group + 4) & 15) | at(group - 4) >> 6 << 4, at(group + 4) >> 4 | at(group) >> 6 << 4};
}

/// Q4_K {f16 d; f16 dmin; u8 packed[12]; u8 q[128]}: groups 2i and 2i+1 are the low and the high
/// halves of 32 bytes. Scales and minimums are rounded to F16.
void write_q4_k(const Source& source, const RowPlanes& out) {
  for (int b = 0; b < source.blocks(); ++b) {
    const std::byte* block = source.block(b);
    const float d = half_to_float(load<uint16_t>(block));
    const float dmin = half_to_float(load<uint16_t>(block + 2));
    for (int g = 0; g < 8; ++g) {
      const auto [scale, minimum] = scale_and_minimum(block + 4, g);
      const int at = 8 * b + g;
      store(out.scales + 2 * at, float_to_half(d * static_cast<float>(scale)));
      store(out.minimums + 2 * at, float_to_half(-dmin * static_cast<float>(minimum)));
      const std::byte* quants = block + 16 + g / 2 * 32;
      store_nibbles(out.data + 16 * at,
                    [&](int i) { return std::to_integer<int>(quants[i]) >> (g % 2 * 4) & 15; });
    }
  }
}

/// E2M1 with the low nibble first, or NVFP4 {u8 s[4]; u8 q[32]}: of each 16, the low nibbles are
/// 0..7 and the high ones 8..15.
void write_nvfp4(const Linear& linear, const Source& source, int64_t row, const RowPlanes& out) {
  const int groups = source.columns / 16;
  if (linear.weight.dtype == DType::kE2M1) {
    std::memcpy(out.scales, linear.scales.data + row * groups, static_cast<size_t>(groups));
    for (int b = 0; b < source.columns / 32; ++b) {
      store_nibbles(out.data + 16 * b, [&](int i) { return nibble(source.row, 32 * b + i); });
    }
    return;
  }
  for (int b = 0; b < source.columns / 32; ++b) {
    const std::byte* block = source.block(b / 2);
    const int first = b % 2 * 2;  // of the block's groups
    std::memcpy(out.scales + 2 * b, block + first, 2);
    store_nibbles(out.data + 16 * b, [&](int i) {
      const std::byte* quants = block + 4 + (first + i / 16) * 8;
      return std::to_integer<int>(quants[i % 8]) >> (i % 16 / 8 * 4) & 15;
    });
  }
}

void write_int8(const Linear& linear, const Source& source, const RowPlanes& out) {
  const auto size = static_cast<size_t>(source.columns);
  if (linear.weight.dtype == DType::kI8) {
    std::memcpy(out.data, source.row, size);
    return;
  }
  for (size_t i = 0; i < size; ++i) out.data[i] = source.row[i] ^ std::byte{0x80};
}

bool has_nan(const std::byte* e4m3, int count) {
  bool found = false;
  for (int i = 0; i < count; ++i) found |= (e4m3[i] & std::byte{0x7f}) == std::byte{0x7f};
  return found;
}

/// Whether the device has the elements as they are stored.
bool stored_as_held(DType type, Format format) {
  return (type == DType::kF16 && format == Format::kF16) ||
         (type == DType::kBF16 && format == Format::kBF16) ||
         (type == DType::kF32 && format == Format::kF32);
}

/// By way of float32.
void write_floats(const Linear& linear, Format format, int64_t row, std::byte* out) {
  std::vector<float> values(static_cast<size_t>(linear.weight.columns()));
  dequantize_linear_row(linear, row, values);
  if (format == Format::kF32) {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    store(out + 2 * i,
          format == Format::kF16 ? float_to_half(values[i]) : float_to_bfloat16(values[i]));
  }
}

}  // namespace

Result<Format> device_format(const TensorView& weight, bool exact) {
  for (Format candidate : {format_of(weight.dtype, exact), Format::kF32}) {
    if (weight.columns() % column_multiple(candidate) == 0) return candidate;
  }
  return invalid_argument("cuda", "tensor ", weight.name, " ", to_string(weight),
                          " has rows that are no multiple of ", column_multiple(Format::kF32),
                          " long");
}

Status check_linear(const Linear& linear, std::string_view path) {
  MKM_RETURN_IF_ERROR(check_scale_shape(linear));
  return check_scales(linear, path);
}

RowBytes row_bytes(Format format, int columns) {
  const size_t scales = scales_bytes(format, 1, columns);
  return {data_bytes(format, 1, columns), scales, has_minimums(format) ? scales : 0};
}

bool write_row(const Linear& linear, Format format, int64_t row, const RowPlanes& planes) {
  const DType type = linear.weight.dtype;
  const Source source(linear.weight, row);
  switch (format) {
    case Format::kQ8:
      write_q8(type, source, planes);
      break;
    case Format::kQ4:
      write_q4(type, source, planes);
      break;
    case Format::kQ4Min:
      type == DType::kQ4_K ? write_q4_k(source, planes) : write_q4(type, source, planes);
      break;
    case Format::kNvfp4:
      write_nvfp4(linear, source, row, planes);
      break;
    case Format::kInt8:
      write_int8(linear, source, planes);
      store(planes.scales, linear_scale(linear, row, 0));
      break;
    case Format::kF8:
      std::memcpy(planes.data, source.row, static_cast<size_t>(source.columns));
      store(planes.scales, linear_scale(linear, row, 0));
      return !has_nan(source.row, source.columns);
    default:
      if (stored_as_held(type, format)) {
        std::memcpy(planes.data, source.row, row_bytes(format, source.columns).data);
      } else {
        write_floats(linear, format, row, planes.data);
      }
  }
  return true;
}

Matrix matrix_of(const Linear& linear, Format format) {
  Matrix matrix;
  matrix.format = format;
  matrix.rows = static_cast<int>(linear.weight.rows());
  matrix.columns = static_cast<int>(linear.weight.columns());
  if (format == Format::kNvfp4) matrix.factor = linear.scale / linear.divisor;
  return matrix;
}

}  // namespace mokume::cuda
