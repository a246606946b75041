// The weight types that the kernel tests go through, with a reading of each file layout that is
// independent of the packing: element by element.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <ostream>

#include "kernels/common/half.h"
#include "kernels/cpu/pack.h"

namespace mokume::kernels {

struct WeightType {
  const char* name;
  SourceType type;
  Format format;    ///< what it is packed into
  int columns = 1;  ///< of a block in the file, of `bytes` bytes
  size_t bytes = 0;
  size_t header = 0, header_bytes = 0;  ///< where the block's scales are; the rest are quants
};

inline constexpr WeightType kWeightTypes[] = {
    {"F32", SourceType::kF32, Format::kF32, 1, 4},
    {"F16", SourceType::kF16, Format::kF16, 1, 2},
    {"BF16", SourceType::kBF16, Format::kBF16, 1, 2},
    {"F8", SourceType::kF8, Format::kF8, 1, 1},
    {"I8", SourceType::kI8, Format::kInt8, 1, 1},
    {"I8Plus128", SourceType::kI8Plus128, Format::kInt8, 1, 1},
    {"Q8_0", SourceType::kQ8_0, Format::kQ8_0, 32, 34, 0, 2},
    {"Q4_0", SourceType::kQ4_0, Format::kQ4_0, 32, 18, 0, 2},
    {"Q4_1", SourceType::kQ4_1, Format::kQ4_1, 32, 20, 0, 4},
    {"Q5_0", SourceType::kQ5_0, Format::kQ5_0, 32, 22, 0, 2},
    {"Q5_1", SourceType::kQ5_1, Format::kQ5_1, 32, 24, 0, 4},
    {"Q4_K", SourceType::kQ4_K, Format::kQ4_K, 256, 144, 0, 16},
    {"Q5_K", SourceType::kQ5_K, Format::kQ5_K, 256, 176, 0, 16},
    {"Q6_K", SourceType::kQ6_K, Format::kQ6_K, 256, 210, 192, 18},
    {"IQ4_NL", SourceType::kIQ4_NL, Format::kIQ4_NL, 32, 18, 0, 2},
    {"MXFP4", SourceType::kMXFP4, Format::kMXFP4, 32, 17, 0, 1},
    {"NVFP4", SourceType::kNVFP4, Format::kNVFP4, 64, 36, 0, 4},
    {"E2M1", SourceType::kE2M1, Format::kNVFP4, 16, 8},
    {"F16Rounded", SourceType::kF16Rounded, Format::kInt16, 1, 2},
};

/// Bytes of the scales of a row in a matrix of their own.
inline size_t scale_row_bytes(const WeightType& type, int columns) {
  if (type.type == SourceType::kE2M1) return static_cast<size_t>(columns) / 16;
  return has_row_scales(type.format) ? 4 : 0;
}

inline void PrintTo(const WeightType& type, std::ostream* out) { *out << type.name; }

inline float half_at(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return half_to_float(bits);
}

inline int bit(const uint8_t* bytes, int index) { return bytes[index / 8] >> (index % 8) & 1; }

/// Nibble i of 2 * half: byte j holds elements j (low) and j + half (high).
inline int nibble(const uint8_t* bytes, int i, int half) {
  return i < half ? bytes[i] & 15 : bytes[i - half] >> 4;
}

inline float e2m1(int code) {
  constexpr float kMagnitudes[] = {0, .5f, 1, 1.5f, 2, 3, 4, 6};
  return code < 8 ? kMagnitudes[code] : -kMagnitudes[code - 8];
}

inline float ue4m3(int byte) {
  const int code = byte & 127;
  if (code == 127) return 0;
  return code < 8 ? std::ldexp(static_cast<float>(code), -9)
                  : std::ldexp(1 + static_cast<float>(code % 8) / 8, code / 8 - 7);
}

/// Scale (or minimum) g of the 6-bit ones of Q4_K and Q5_K.
inline int six_bits(const uint8_t* packed, int g, bool minimum) {
  if (g < 4) return packed[g + (minimum ? 4 : 0)] & 63;
  const int low = minimum ? packed[g + 4] >> 4 : packed[g + 4] & 15;
  return low + packed[minimum ? g : g - 4] / 64 * 16;
}

inline float k_value(const uint8_t* block, int i, const uint8_t* fifth, const uint8_t* nibbles) {
  const int group = i / 32, l = i % 32;
  const int q =
      nibble(nibbles + group / 2 * 32, i % 64, 32) + (fifth ? bit(fifth + l, group) : 0) * 16;
  return half_at(block) * static_cast<float>(six_bits(block + 4, group, false) * q) -
         half_at(block + 2) * static_cast<float>(six_bits(block + 4, group, true));
}

inline float q6_k_value(const uint8_t* block, int i) {
  const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
  const int low = nibble(block + half * 64 + quarter % 2 * 32, quarter < 2 ? l : l + 32, 32);
  const int high = block[128 + half * 32 + l] >> (2 * quarter) & 3;
  const int scale = static_cast<int8_t>(block[192 + i / 16]);
  return half_at(block + 208) * static_cast<float>(scale * (low + 16 * high - 32));
}

inline float e4m3(int byte) { return byte < 128 ? ue4m3(byte) : -ue4m3(byte); }

inline float iq4_nl(int code) {
  constexpr float kValues[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
  return kValues[code];
}

inline float float_at(const uint8_t* p) {
  float value;
  std::memcpy(&value, p, 4);
  return value;
}

/// Element i of a block in its file layout, without the scales of a matrix of their own.
inline float block_value(SourceType type, const uint8_t* b, int i) {
  switch (type) {
    case SourceType::kF32:
      return float_at(b);
    case SourceType::kF16:
    case SourceType::kF16Rounded:
      return half_at(b);
    case SourceType::kBF16:
      return bfloat16_to_float(static_cast<uint16_t>(b[0] | b[1] << 8));
    case SourceType::kF8:
      return e4m3(b[0]);
    case SourceType::kI8:
      return static_cast<int8_t>(b[0]);
    case SourceType::kI8Plus128:
      return static_cast<float>(b[0] - 128);
    case SourceType::kQ8_0:
      return half_at(b) * static_cast<int8_t>(b[2 + i]);
    case SourceType::kQ4_0:
      return half_at(b) * static_cast<float>(nibble(b + 2, i, 16) - 8);
    case SourceType::kQ4_1:
      return half_at(b) * static_cast<float>(nibble(b + 4, i, 16)) + half_at(b + 2);
    case SourceType::kQ5_0:
      return half_at(b) * static_cast<float>(nibble(b + 6, i, 16) + 16 * bit(b + 2, i) - 16);
    case SourceType::kQ5_1:
      return half_at(b) * static_cast<float>(nibble(b + 8, i, 16) + 16 * bit(b + 4, i)) +
             half_at(b + 2);
    case SourceType::kQ4_K:
      return k_value(b, i, nullptr, b + 16);
    case SourceType::kQ5_K:
      return k_value(b, i, b + 16, b + 48);
    case SourceType::kQ6_K:
      return q6_k_value(b, i);
    case SourceType::kIQ4_NL:
      return half_at(b) * iq4_nl(nibble(b + 2, i, 16));
    case SourceType::kMXFP4:
      return std::ldexp(e2m1(nibble(b + 1, i, 16)), b[0] - 127);
    case SourceType::kNVFP4:
      return ue4m3(b[i / 16]) * e2m1(nibble(b + 4 + i / 16 * 8, i % 16, 8));
    case SourceType::kE2M1:
      return e2m1(b[i / 2] >> (i % 2 * 4) & 15);
  }
  return 0;
}

/// Element `column` of a row in its file layout; `scales` are the row's own.
inline float source_value(const WeightType& type, const uint8_t* row, const uint8_t* scales,
                          int column) {
  const uint8_t* block = row + static_cast<size_t>(column / type.columns) * type.bytes;
  const float value = block_value(type.type, block, column % type.columns);
  if (has_row_scales(type.format)) return value * float_at(scales);
  return type.type == SourceType::kE2M1 ? value * ue4m3(scales[column / 16]) : value;
}

}  // namespace mokume::kernels
