// A linear layer's rows as a CUDA device holds them (kernels/cuda/matrix.h).
#pragma once

#include <cstddef>
#include <string_view>

#include "base/status.h"
#include "kernels/cuda/matrix.h"
#include "model/model_spec.h"

namespace mokume::cuda {

/// What a weight becomes on the device: itself where the kernels have its format, otherwise what
/// holds its values without loss or, unless `exact`, with F16's rounding. F32 where rows of that
/// format cannot be so long; InvalidArgument where not even F32's can.
Result<Format> device_format(const TensorView& weight, bool exact);

/// That the scales beside the weight, where its type has such, cover it and are scales.
Status check_linear(const Linear& linear, std::string_view path);

/// Bytes of one row in each plane; 0 where the format has no such plane.
struct RowBytes {
  size_t data = 0, scales = 0, minimums = 0;
  size_t all() const { return data + scales + minimums; }
};
RowBytes row_bytes(Format format, int columns);

/// Where a row goes; a plane that the format lacks is null.
struct RowPlanes {
  std::byte* data = nullptr;
  std::byte* scales = nullptr;
  std::byte* minimums = nullptr;
};

/// Writes row `row`; `format` is what device_format() gave. False when an element is NaN (FP8 has
/// such).
bool write_row(const Linear& linear, Format format, int64_t row, const RowPlanes& planes);

/// The matrix without its planes: format, sizes, factor.
Matrix matrix_of(const Linear& linear, Format format);

}  // namespace mokume::cuda
