#include "model/linear.h"

#include <algorithm>
#include <cstring>

#include "tensor/float8.h"

namespace mokume {
namespace {

constexpr int64_t kGroup = 16;  // columns that share a scale in E2M1

// Between them nothing overflows: E4M3 reaches 448, E2M1 times E4M3 2688.
constexpr float kLeastScale = 1e-30f, kMostScale = 1e30f;

bool is_scale(float value) { return value >= kLeastScale && value <= kMostScale; }

/// Positive, and no NaN: 0x7f and 0xff are NaN, 0x00 and 0x80 are 0.
bool is_group_scale(std::byte bits) { return bits > std::byte{0} && bits < std::byte{0x7f}; }

Status bad_scale(const TensorView& tensor, int64_t row, float value, std::string_view path) {
  const std::string file = path.empty() ? "" : str_cat(" (", path, ")");
  return invalid_argument("model", "tensor ", tensor.name, " has the scale ", value, " in row ",
                          row, "; scales must be finite and above 0", file);
}

Status check_group_scales(const TensorView& scales, std::string_view path) {
  const std::span values(scales.data, static_cast<size_t>(scales.bytes));
  // Without a branch, so that it runs as fast as memory is read.
  bool good = true;
  for (const std::byte bits : values) good &= is_group_scale(bits);
  if (good) return absl::OkStatus();
  const auto bad = std::ranges::find_if_not(values, is_group_scale);
  return bad_scale(scales, (bad - values.begin()) / scales.columns(),
                   e4m3_to_float(std::to_integer<uint8_t>(*bad)), path);
}

}  // namespace

Status check_row_scales(const TensorView& scales, std::string_view path) {
  for (int64_t i = 0; i < scales.columns(); ++i) {
    float value;
    std::memcpy(&value, scales.data + i * static_cast<int64_t>(sizeof(value)), sizeof(value));
    if (!is_scale(value)) return bad_scale(scales, i, value, path);
  }
  return absl::OkStatus();
}

Status check_scales(const Linear& linear, std::string_view path) {
  for (const float whole : {linear.scale, linear.divisor}) {
    if (!is_scale(whole)) return bad_scale(linear.weight, 0, whole, path);
  }
  if (!linear.scales) return absl::OkStatus();
  return linear.scales.dtype == DType::kF32 ? check_row_scales(linear.scales, path)
                                            : check_group_scales(linear.scales, path);
}

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
