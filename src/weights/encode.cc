#include "weights/encode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/half.h"

namespace mokume {
namespace {

constexpr size_t kQ8Group = 32;
constexpr float kLargestInt8 = 127;

float largest_magnitude(std::span<const float> row) {
  float largest = 0;
  for (const float x : row) largest = std::max(largest, std::abs(x));
  return largest;
}

// Ties to even, for magnitudes below 2^22: the sum has no bits left for a fraction.
float round_to_even(float value) { return (value + 0x1.8p23f) - 0x1.8p23f; }

int8_t to_int8(float value) {
  return static_cast<int8_t>(round_to_even(std::clamp(value, -kLargestInt8, kLargestInt8)));
}

float int8_scale(float largest) {
  if (largest == 0) return 1;
  // A subnormal scale would be too coarse to keep the largest value within 127.
  const float scale = std::max(largest / kLargestInt8, std::numeric_limits<float>::min());
  return std::isinf(scale * kLargestInt8) ? std::nextafter(scale, 0.f) : scale;
}

// The half that takes `largest` to 127. A subnormal half may round down so far that the largest
// would not fit any more: then the next one.
uint16_t q8_0_scale(float largest) {
  constexpr uint16_t kLargestHalf = 0x7bff;
  const uint16_t d = std::min(float_to_half(largest / kLargestInt8), kLargestHalf);
  const bool clips = half_to_float(d) * (kLargestInt8 + 0.5f) < largest;
  return clips && d < kLargestHalf ? d + 1 : d;
}

}  // namespace

float encode_int8_row(std::span<const float> row, std::span<int8_t> values) {
  const float scale = int8_scale(largest_magnitude(row));
  for (size_t i = 0; i < row.size(); ++i) values[i] = to_int8(row[i] / scale);
  return scale;
}

void encode_q8_0_row(std::span<const float> row, std::span<uint8_t> blocks) {
  uint8_t* out = blocks.data();
  for (size_t begin = 0; begin < row.size();
       begin += kQ8Group, out += sizeof(uint16_t) + kQ8Group) {
    const std::span<const float> group = row.subspan(begin, kQ8Group);
    const uint16_t d = q8_0_scale(largest_magnitude(group));
    std::memcpy(out, &d, sizeof(d));
    const float scale = d == 0 ? 1 : half_to_float(d);
    for (size_t i = 0; i < kQ8Group; ++i) {
      out[sizeof(d) + i] = static_cast<uint8_t>(to_int8(d == 0 ? 0 : group[i] / scale));
    }
  }
}

void encode_f16_row(std::span<const float> row, std::span<uint16_t> out) {
  std::transform(row.begin(), row.end(), out.begin(), float_to_half);
}

void encode_bf16_row(std::span<const float> row, std::span<uint16_t> out) {
  std::transform(row.begin(), row.end(), out.begin(), float_to_bfloat16);
}

}  // namespace mokume
