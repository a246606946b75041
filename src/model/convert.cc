#include "model/convert.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "model/linear.h"
#include "weights/encode.h"

namespace mokume {
namespace {

constexpr int64_t kGroup = 16;          // columns that share a scale in NVFP4
constexpr float kHalfInfinity = 65520;  // rounds past the largest half

DType dtype_of(WeightFormat format) {
  switch (format) {
    case WeightFormat::kInt8:
      return DType::kI8;
    case WeightFormat::kF16:
      return DType::kF16;
    case WeightFormat::kNvfp4:
      return DType::kE2M1;
    case WeightFormat::kQ8_0:
      return DType::kQ8_0;
    default:
      return DType::kBF16;
  }
}

float largest_of(std::span<const float> row) {
  float largest = 0;
  for (const float x : row) {
    if (!std::isfinite(x)) return std::numeric_limits<float>::infinity();
    largest = std::max(largest, std::fabs(x));
  }
  return largest;
}

void raise_to(std::atomic<float>& largest, float value) {
  float seen = largest.load();
  while (seen < value && !largest.compare_exchange_weak(seen, value)) {
  }
}

/// Calls use(row index, values) for every row as float32; returns the largest magnitude, infinity
/// when a value is not finite. Rows that are not finite are left out.
template <typename Use>
float for_rows(const Linear& linear, const RunRows& run, const Use& use) {
  std::atomic<float> largest = 0;
  run(static_cast<int>(linear.weight.rows()), [&](int first, int last) {
    std::vector<float> values(static_cast<size_t>(linear.weight.columns()));
    for (int row = first; row < last; ++row) {
      dequantize_linear_row(linear, row, values);
      const float in_row = largest_of(values);
      raise_to(largest, in_row);
      if (std::isfinite(in_row)) use(static_cast<size_t>(row), std::span<const float>(values));
    }
  });
  return largest;
}

Status check_largest(const TensorView& weight, float largest, WeightFormat format) {
  if (!std::isfinite(largest)) {
    return invalid_argument("model", "tensor ", weight.name,
                            " holds values that are not finite and cannot be converted");
  }
  if (format == WeightFormat::kF16 && largest >= kHalfInfinity) {
    return invalid_argument("model", "tensor ", weight.name, " holds ", largest,
                            ", which is too large for fp16; bf16 would hold it");
  }
  return absl::OkStatus();
}

TensorView scales_view(const TensorView& weight, WeightFormat format) {
  TensorView scales;
  if (format == WeightFormat::kInt8) {
    scales.rank = 1;
    scales.shape = {weight.rows()};
    scales.bytes = static_cast<uint64_t>(weight.rows()) * sizeof(float);
  } else if (format == WeightFormat::kNvfp4) {
    scales.dtype = DType::kF8_E4M3;
    scales.rank = 2;
    scales.shape = {weight.rows(), weight.columns() / kGroup};
    scales.bytes = static_cast<uint64_t>(weight.rows() * (weight.columns() / kGroup));
  }
  scales.name = weight.name;
  return scales;
}

template <typename T>
std::span<T> row_of(std::vector<std::byte>& storage, size_t row, int64_t elements) {
  const auto count = static_cast<size_t>(elements);
  return {reinterpret_cast<T*>(storage.data()) + row * count, count};
}

/// Writes one row of `out`, whose divisor is set.
void encode_row(WeightFormat format, size_t row, std::span<const float> values,
                ConvertedLinear& out) {
  const auto columns = static_cast<int64_t>(values.size());
  switch (format) {
    case WeightFormat::kInt8:
      row_of<float>(out.scales, row, 1)[0] =
          encode_int8_row(values, row_of<int8_t>(out.weight, row, columns));
      return;
    case WeightFormat::kF16:
      return encode_f16_row(values, row_of<uint16_t>(out.weight, row, columns));
    case WeightFormat::kBF16:
      return encode_bf16_row(values, row_of<uint16_t>(out.weight, row, columns));
    case WeightFormat::kNvfp4:
      return encode_nvfp4_row(values, out.linear.divisor,
                              row_of<uint8_t>(out.weight, row, columns / 2),
                              row_of<uint8_t>(out.scales, row, columns / kGroup));
    case WeightFormat::kKeep:
    case WeightFormat::kQ8_0:
      return;
  }
}

}  // namespace

WeightFormat layer_format(const LayerSpec& layer, const Linear& linear, WeightFormat format) {
  if (format == WeightFormat::kKeep) return format;
  const auto* net = std::get_if<DeltaNet>(&layer.mixer);
  const bool small = net && (&linear == &net->a || &linear == &net->b);
  const bool nvfp4 = format == WeightFormat::kNvfp4;
  const DType type = linear.weight.dtype;
  const bool same = type == dtype_of(format) || (nvfp4 && type == DType::kNVFP4);
  const bool no_groups = nvfp4 && linear.weight.columns() % kGroup != 0;
  return small || same || no_groups ? WeightFormat::kKeep : format;
}

WeightFormat head_format(const Linear& head, WeightFormat format) {
  const DType type = head.weight.dtype;
  const bool wide = type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
  return wide && format == WeightFormat::kInt8 ? format : WeightFormat::kKeep;
}

TensorView converted_weight(const Linear& linear, WeightFormat format) {
  TensorView weight = linear.weight;
  if (format == WeightFormat::kKeep) return weight;
  weight.dtype = dtype_of(format);
  weight.data = nullptr;
  const auto columns = static_cast<uint64_t>(weight.columns());
  weight.bytes =
      static_cast<uint64_t>(weight.rows()) * row_bytes(weight.dtype, columns).value_or(0);
  return weight;
}

uint64_t converted_bytes(const Linear& linear, WeightFormat format) {
  if (format == WeightFormat::kKeep) return linear.weight.bytes + linear.scales.bytes;
  return converted_weight(linear, format).bytes + scales_view(linear.weight, format).bytes;
}

Result<ConvertedLinear> convert_linear(const Linear& linear, WeightFormat format,
                                       const RunRows& run) {
  ConvertedLinear out;
  out.linear.weight = converted_weight(linear, format);
  out.linear.scales = scales_view(linear.weight, format);
  out.linear.bias = linear.bias;
  out.weight.resize(out.linear.weight.bytes);
  out.scales.resize(out.linear.scales.bytes);
  out.linear.weight.data = out.weight.data();
  if (!out.scales.empty()) out.linear.scales.data = out.scales.data();
  if (format == WeightFormat::kNvfp4) {
    const float largest = for_rows(linear, run, [](size_t, std::span<const float>) {});
    MKM_RETURN_IF_ERROR(check_largest(linear.weight, largest, format));
    out.linear.divisor = nvfp4_divisor(largest);
  }
  const float largest = for_rows(linear, run, [&](size_t row, std::span<const float> values) {
    encode_row(format, row, values, out);
  });
  MKM_RETURN_IF_ERROR(check_largest(linear.weight, largest, format));
  return out;
}

}  // namespace mokume
