#include "tensor/dequantize_block.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "tensor/float8.h"
#include "tensor/half.h"

namespace mokume {
namespace {

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

float load_half(const std::byte* from) { return half_to_float(load<uint16_t>(from)); }
int load_byte(const std::byte* from) { return std::to_integer<int>(*from); }

// Calls write(element, nibble) for `count` bytes: byte j holds elements j (low) and j + count.
template <typename Write>
void for_nibbles(const std::byte* bytes, int count, const Write& write) {
  for (int j = 0; j < count; ++j) {
    write(j, load_byte(bytes + j) & 15);
    write(j + count, load_byte(bytes + j) >> 4);
  }
}

void dequantize_q8_0(const std::byte* block, float* out) {
  const float d = load_half(block);
  for (int j = 0; j < 32; ++j) out[j] = d * static_cast<float>(load<int8_t>(block + 2 + j));
}

void dequantize_q4_0(const std::byte* block, float* out) {
  const float d = load_half(block);
  for_nibbles(block + 2, 16, [&](int i, int q) { out[i] = d * static_cast<float>(q - 8); });
}

void dequantize_q4_1(const std::byte* block, float* out) {
  const float d = load_half(block), m = load_half(block + 2);
  for_nibbles(block + 4, 16, [&](int i, int q) { out[i] = d * static_cast<float>(q) + m; });
}

void dequantize_q5_0(const std::byte* block, float* out) {
  const float d = load_half(block);
  const auto fifth = load<uint32_t>(block + 2);
  for_nibbles(block + 6, 16, [&](int i, int q) {
    out[i] = d * static_cast<float>(q + static_cast<int>(fifth >> i & 1) * 16 - 16);
  });
}

void dequantize_q5_1(const std::byte* block, float* out) {
  const float d = load_half(block), m = load_half(block + 2);
  const auto fifth = load<uint32_t>(block + 4);
  for_nibbles(block + 8, 16, [&](int i, int q) {
    out[i] = d * static_cast<float>(q + static_cast<int>(fifth >> i & 1) * 16) + m;
  });
}

struct ScaleAndMinimum {
  int scale, minimum;
};

// Pair g of the eight 6-bit pairs in 12 bytes. The last four pairs keep their upper two bits on top
// of the first four's.
ScaleAndMinimum k_pair(const std::byte* packed, int g) {
  const auto at = [&](int i) { return load_byte(packed + i); };
  if (g < 4) return {at(g) & 63, at(g + 4) & 63};
  return {(at(g + 4) & 15) + (at(g - 4) >> 6) * 16, (at(g + 4) >> 4) + (at(g) >> 6) * 16};
}

// Q4_K, and Q5_K with its 32 bytes of fifth bits (bit g of byte l: element l of group g).
void dequantize_k(const std::byte* block, const std::byte* fifth, const std::byte* nibbles,
                  float* out) {
  const float d = load_half(block), dmin = load_half(block + 2);
  for (int g = 0; g < 8; ++g) {
    const auto [scale, minimum] = k_pair(block + 4, g);
    const float step = d * static_cast<float>(scale), low = dmin * static_cast<float>(minimum);
    for (int l = 0; l < 32; ++l) {
      int q = load_byte(nibbles + g / 2 * 32 + l) >> (g % 2 * 4) & 15;
      if (fifth) q += (load_byte(fifth + l) >> g & 1) * 16;
      out[g * 32 + l] = step * static_cast<float>(q) - low;
    }
  }
}

void dequantize_q6_k(const std::byte* block, float* out) {
  const float d = load_half(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, within = i % 128;
    const int low = load_byte(block + half * 64 + within % 64) >> (within / 64 * 4) & 15;
    const int high = load_byte(block + 128 + half * 32 + within % 32) >> (within / 32 * 2) & 3;
    const float step = d * static_cast<float>(load<int8_t>(block + 192 + i / 16));
    out[i] = step * static_cast<float>(low + high * 16 - 32);
  }
}

void dequantize_iq4_nl(const std::byte* block, float* out) {
  static constexpr std::array<float, 16> kLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                    1,    13,   25,  38,  53,  69,  89,  113};
  const float d = load_half(block);
  for_nibbles(block + 2, 16, [&](int i, int q) { out[i] = d * kLevels[static_cast<size_t>(q)]; });
}

constexpr std::array<float, 16> kE2m1 = {0,    .5f,  1,  1.5f,  2,  3,  4,  6,
                                         -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};

void dequantize_mxfp4(const std::byte* block, float* out) {
  // The scale is 2^(e - 127). Half of it is always a float32, and takes the doubled element.
  const auto e = static_cast<uint32_t>(load_byte(block));
  const float half = std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
  for_nibbles(block + 1, 16,
              [&](int i, int q) { out[i] = half * (2 * kE2m1[static_cast<size_t>(q)]); });
}

// Unsigned E4M3: bias 7, no infinity; the NaN stands for 0 and the sign bit for nothing.
float ue4m3_to_float(int byte) {
  const int code = byte & 127;
  if (code == 127) return 0;
  if (code < 8) return static_cast<float>(code) * 0x1p-9f;
  return std::bit_cast<float>(static_cast<uint32_t>((code >> 3) + 120) << 23 |
                              static_cast<uint32_t>(code & 7) << 20);
}

void dequantize_nvfp4(const std::byte* block, float* out) {
  for (int g = 0; g < 4; ++g, out += 16) {
    const float scale = ue4m3_to_float(load_byte(block + g));
    for_nibbles(block + 4 + g * 8, 8,
                [&](int i, int q) { out[i] = scale * kE2m1[static_cast<size_t>(q)]; });
  }
}

}  // namespace

void dequantize_block(DType type, const std::byte* block, float* out) {
  switch (type) {
    case DType::kF32:
      *out = load<float>(block);
      return;
    case DType::kF16:
      *out = load_half(block);
      return;
    case DType::kBF16:
      *out = bfloat16_to_float(load<uint16_t>(block));
      return;
    case DType::kQ8_0:
      return dequantize_q8_0(block, out);
    case DType::kQ4_0:
      return dequantize_q4_0(block, out);
    case DType::kQ4_1:
      return dequantize_q4_1(block, out);
    case DType::kQ5_0:
      return dequantize_q5_0(block, out);
    case DType::kQ5_1:
      return dequantize_q5_1(block, out);
    case DType::kQ4_K:
      return dequantize_k(block, nullptr, block + 16, out);
    case DType::kQ5_K:
      return dequantize_k(block, block + 16, block + 48, out);
    case DType::kQ6_K:
      return dequantize_q6_k(block, out);
    case DType::kIQ4_NL:
      return dequantize_iq4_nl(block, out);
    case DType::kMXFP4:
      return dequantize_mxfp4(block, out);
    case DType::kNVFP4:
      return dequantize_nvfp4(block, out);
    case DType::kI8:
      *out = static_cast<float>(load<int8_t>(block));
      return;
    case DType::kI8Plus128:
      *out = static_cast<float>(load_byte(block) - 128);
      return;
    case DType::kF8_E4M3:
      *out = e4m3_to_float(load<uint8_t>(block));
      return;
    case DType::kE2M1:
      out[0] = e2m1_to_float(load_byte(block) & 15);
      out[1] = e2m1_to_float(load_byte(block) >> 4);
      return;
  }
}

}  // namespace mokume
