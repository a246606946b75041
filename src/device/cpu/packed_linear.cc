#include "device/cpu/packed_linear.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "kernels/cpu/pack.h"
#include "model/linear.h"

namespace mokume {
namespace {

/// How much of a tensor is read before its pages are given back.
constexpr size_t kPartBytes = 8u << 20;

int units_at_once(size_t unit_bytes) {
  return static_cast<int>(std::clamp<size_t>(kPartBytes / unit_bytes, 1, kPartBytes));
}

/// Products of F16 that need not be exact are of integers, which are twice as fast.
kernels::SourceType source_type(DType type, bool exact) {
  using kernels::SourceType;
  switch (type) {
    case DType::kF32:
      return SourceType::kF32;
    case DType::kF16:
      return exact ? SourceType::kF16 : SourceType::kF16Rounded;
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

kernels::PackedMatrix shape_of(const TensorView& weight, bool exact) {
  return {kernels::packed_format(source_type(weight.dtype, exact)), nullptr,
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

/// Whether some of the weights, of F8 or F16, are not finite.
bool has_odd(DType type, const uint8_t* weights, size_t bytes) {
  bool found = false;
  if (type == DType::kF8_E4M3) {
    for (size_t i = 0; i < bytes; ++i) found |= (weights[i] & 0x7f) == 0x7f;
  }
  if (type == DType::kF16) {  // of which the high bytes tell
    for (size_t i = 1; i < bytes; i += 2) found |= (weights[i] & 0x7c) == 0x7c;
  }
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

/// Packs a slice of the weight; rows past its last one are zeros.
Status pack_slice(const PackedLinear& packed, int index, const kernels::SourceMatrix& source) {
  const size_t first = static_cast<size_t>(index) * SliceProduct::kRows;
  const size_t count = std::min<size_t>(SliceProduct::kRows, packed.matrix.rows - first);
  std::vector<uint8_t> rows(SliceProduct::kRows * source.row_bytes);
  std::memcpy(rows.data(), source.rows + first * source.row_bytes, count * source.row_bytes);
  return packed.library->pack(rows.data(), const_cast<uint8_t*>(packed.slice(index)));
}

}  // namespace

uint64_t packed_bytes(const TensorView& weight, ProductEngines& engines) {
  PackedLinear packed;
  packed.matrix = shape_of(weight, engines.exact());
  packed.library = engines.choose(packed.matrix.format, packed.matrix.rows, packed.matrix.columns);
  const size_t unit = packed.library ? packed.library->slice_bytes() : packed.matrix.panel_bytes();
  return static_cast<uint64_t>(
      round_up(static_cast<int64_t>(unit) * packed.units(), kernels::kBlock));
}

Result<PackedLinear> pack_linear(const Linear& linear, uint8_t* storage, ThreadPool& pool,
                                 const WeightSource* weights, ProductEngines& engines) {
  MKM_RETURN_IF_ERROR(check_shape(linear));
  MKM_RETURN_IF_ERROR(check_scales(linear, weights ? weights->path() : ""));
  const TensorView& weight = linear.weight;
  PackedLinear packed;
  kernels::PackedMatrix& matrix = packed.matrix;
  matrix = shape_of(weight, engines.exact());
  matrix.data = storage;
  packed.library = engines.choose(matrix.format, matrix.rows, matrix.columns);
  matrix.factor = linear.scale / linear.divisor;
  if (linear.bias) packed.bias = reinterpret_cast<const float*>(linear.bias.data);

  const size_t row_bytes = weight.bytes / static_cast<uint64_t>(weight.rows());
  const kernels::SourceMatrix source{source_type(weight.dtype, engines.exact()), bytes_of(weight),
                                     row_bytes, bytes_of(linear.scales)};
  const int unit_rows = packed.unit_rows(), units = packed.units();
  const int at_once = units_at_once(row_bytes * static_cast<size_t>(unit_rows));
  std::atomic<bool> odd = false, failed = false;
  for (int first = 0; first < units; first += at_once) {
    const int last = std::min(first + at_once, units);
    const auto row_of = [&](int unit) { return std::min(unit * unit_rows, matrix.rows); };
    pool.run(last - first, 4, [&](int begin, int end) {
      for (int u = first + begin; u < first + end; ++u) {
        if (packed.library) {
          if (!pack_slice(packed, u, source).ok()) failed = true;
          continue;
        }
        kernels::pack_panel(matrix, u, source, storage + u * matrix.panel_bytes());
        const size_t from = row_of(u) * row_bytes, to = row_of(u + 1) * row_bytes;
        if (has_odd(weight.dtype, source.rows + from, to - from)) odd = true;
      }
    });
    release_rows(weight, row_of(first), row_of(last), weights);
  }
  if (failed) {
    return internal_error("cpu", slice_product_library(), " cannot lay out tensor ", weight.name);
  }
  if (odd) {
    return invalid_argument("cpu", "tensor ", weight.name,
                            " holds weights that are NaN or infinite");
  }
  // Once more whole: pages that two parts shared.
  if (weights) weights->release(weight);
  if (weights && linear.scales) weights->release(linear.scales);
  return packed;
}

}  // namespace mokume
