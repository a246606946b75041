#include "model/linear.h"

#include <algorithm>
#include <cstring>

#include "tensor/float8.h"

namespace mokume {
namespace {

constexpr int64_t kGroup = 16;  // columns that share a scale in E2M1

}  // namespace

float linear_scale(const Linear& linear, int64_t row, int64_t column) {
  if (!linear.scales) return 1;
  if (linear.weight.dtype == DType::kE2M1) {
    const int64_t at = row * linear.scales.columns() + column / kGroup;
    return e4m3_to_float(std::to_integer<uint8_t>(linear.scales.data[at])) * linear.scale /
           linear.divisor;
  }
  float scale;
  std::memcpy(&scale, linear.scales.data + row * static_cast<int64_t>(sizeof(scale)),
              sizeof(scale));
  return scale;
}

void dequantize_linear_row(const Linear& linear, int64_t row, std::span<float> out) {
  dequantize_row(linear.weight, row, out);
  const float whole = linear.scales ? 1 : linear.scale / linear.divisor;
  if (!linear.scales && whole == 1) return;
  const int64_t columns = linear.weight.columns();
  for (int64_t begin = 0; begin < columns; begin += kGroup) {
    const float scale = linear.scales ? linear_scale(linear, row, begin) : whole;
    for (int64_t i = begin; i < std::min(begin + kGroup, columns); ++i) out[i] *= scale;
  }
}

uint64_t linear_bytes(const Linear& linear) {
  return linear.weight.bytes + linear.scales.bytes + linear.bias.bytes;
}

}  // namespace mokume
