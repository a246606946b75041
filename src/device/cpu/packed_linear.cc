#include "device/cpu/packed_linear.h"

#include <algorithm>
#include <atomic>

#include "base/checked.h"
#include "kernels/cpu/pack.h"
#include "model/linear.h"

namespace mokume {
namespace {

/// How much of a tensor is read before its pages are given back.
constexpr size_t kSliceBytes = 8u << 20;

int slice_panels(size_t row_bytes) {
  return static_cast<int>(
      std::clamp<size_t>(kSliceBytes / (row_bytes * kernels::kPanelRows), 1, kSliceBytes));
}

kernels::SourceType source_type(DType type) {
  using kernels::SourceType;
  switch (type) {
    case DType::kF32:
      return SourceType::kF32;
    case DType::kF16:
      return SourceType::kF16;
    case DType::kBF16:
      return SourceType::kBF16;
    case DType::kQ8_0:
      return SourceType::kQ8_0;
    case DType::kQ4_0:
      return SourceType::kQ4_0;
    case DType::kQ4_1:
      return SourceType::kQ4_1;
    case DType::kQ5_0:
      return SourceType::kQ5_0;
    case DType::kQ5_1:
      return SourceType::kQ5_1;
    case DType::kQ4_K:
      return SourceType::kQ4_K;
    case DType::kQ5_K:
      return SourceType::kQ5_K;
    case DType::kQ6_K:
      return SourceType::kQ6_K;
    case DType::kIQ4_NL:
      return SourceType::kIQ4_NL;
    case DType::kMXFP4:
      return SourceType::kMXFP4;
    case DType::kNVFP4:
      return SourceType::kNVFP4;
    case DType::kI8:
      return SourceType::kI8;
    case DType::kF8_E4M3:
      return SourceType::kF8;
    case DType::kE2M1:
      return SourceType::kE2M1;
    case DType::kI8Plus128:
      return SourceType::kI8Plus128;
  }
  return SourceType::kF32;
}

kernels::PackedMatrix shape_of(const TensorView& weight) {
  return {kernels::packed_format(source_type(weight.dtype)), nullptr,
          static_cast<int>(weight.rows()), static_cast<int>(weight.columns())};
}

const uint8_t* bytes_of(const TensorView& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.data);
}

/// That the matrix of scales, where the type has one, covers the weight.
Status check_shape(const Linear& linear) {
  const TensorView& weight = linear.weight;
  if (!needs_scales(weight.dtype)) return absl::OkStatus();
  const bool groups = weight.dtype == DType::kE2M1;
  const int64_t wanted = groups ? weight.rows() * (weight.columns() / 16) : weight.rows();
  const DType type = groups ? DType::kF8_E4M3 : DType::kF32;
  const uint64_t bytes = static_cast<uint64_t>(wanted) * (groups ? 1 : sizeof(float));
  if (groups && weight.columns() % 16 != 0) {
    return invalid_argument("cpu", "tensor ", weight.name, " ", to_string(weight),
                            " has columns that are no groups of 16");
  }
  if (linear.scales && linear.scales.dtype == type && linear.scales.bytes == bytes) {
    return absl::OkStatus();
  }
  return invalid_argument("cpu", "tensor ", weight.name, " ", to_string(weight), " needs ", wanted,
                          " scales of type ", dtype_info(type).name, ", and has ",
                          linear.scales ? to_string(linear.scales) : "none");
}

bool has_nan(const uint8_t* e4m3, size_t count) {
  bool found = false;
  for (size_t i = 0; i < count; ++i) found |= (e4m3[i] & 0x7f) == 0x7f;
  return found;
}

/// Rows [first, last) are not read again.
void release_rows(const TensorView& tensor, int64_t first, int64_t last,
                  const WeightSource* weights) {
  if (!weights) return;
  TensorView rows = tensor;
  const uint64_t row_bytes = tensor.bytes / static_cast<uint64_t>(tensor.rows());
  rows.data += static_cast<uint64_t>(first) * row_bytes;
  rows.bytes = static_cast<uint64_t>(last - first) * row_bytes;
  weights->release(rows);
}

}  // namespace

uint64_t packed_bytes(const TensorView& weight) {
  const auto shape = shape_of(weight);
  return static_cast<uint64_t>(
      round_up(static_cast<int64_t>(shape.panel_bytes()) * shape.panels(), kernels::kBlock));
}

Result<PackedLinear> pack_linear(const Linear& linear, uint8_t* storage, ThreadPool& pool,
                                 const WeightSource* weights) {
  MKM_RETURN_IF_ERROR(check_shape(linear));
  MKM_RETURN_IF_ERROR(check_scales(linear, weights ? weights->path() : ""));
  const TensorView& weight = linear.weight;
  PackedLinear packed;
  kernels::PackedMatrix& matrix = packed.matrix;
  matrix = shape_of(weight);
  matrix.data = storage;
  matrix.factor = linear.scale / linear.divisor;
  if (linear.bias) packed.bias = reinterpret_cast<const float*>(linear.bias.data);

  const size_t row_bytes = weight.bytes / static_cast<uint64_t>(weight.rows());
  const kernels::SourceMatrix source{source_type(weight.dtype), bytes_of(weight), row_bytes,
                                     bytes_of(linear.scales)};
  const bool may_have_nan = weight.dtype == DType::kF8_E4M3;
  std::atomic<bool> nan = false;
  const int slice = slice_panels(row_bytes);
  for (int first = 0; first < matrix.panels(); first += slice) {
    const int last = std::min(first + slice, matrix.panels());
    const auto row_of = [&](int panel) {
      return std::min(panel * kernels::kPanelRows, matrix.rows);
    };
    pool.run(last - first, 4, [&](int begin, int end) {
      for (int p = first + begin; p < first + end; ++p) {
        kernels::pack_panel(matrix, p, source, storage + p * matrix.panel_bytes());
        const size_t from = row_of(p) * row_bytes, to = row_of(p + 1) * row_bytes;
        if (may_have_nan && has_nan(source.rows + from, to - from)) nan = true;
      }
    });
    release_rows(weight, row_of(first), row_of(last), weights);
  }
  if (nan) return invalid_argument("cpu", "tensor ", weight.name, " holds weights that are NaN");
  // Once more whole: pages that two slices shared.
  if (weights) weights->release(weight);
  if (weights && linear.scales) weights->release(linear.scales);
  return packed;
}

}  // namespace mokume
