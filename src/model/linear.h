// The values of a linear layer's weight, whatever scales its format keeps beside it.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"
#include "model/model_spec.h"

namespace mokume {

/// What the elements of group [column, column + 16) of a row are multiplied by, for E2M1; of the
/// whole row for I8 and F8_E4M3; 1 for types that hold their own scales (NVFP4's are not included).
float linear_scale(const Linear& linear, int64_t row, int64_t column);

/// Writes row `row` of the weight as float32, every scale applied; `out` holds K values.
void dequantize_linear_row(const Linear& linear, int64_t row, std::span<float> out);

/// Whether every scale is what it must be: finite and above 0, and of those in F32 1e-30 to 1e30,
/// so that no product overflows. Reads all of `scales`, so it belongs
/// where a device reads the weight anyway. InvalidArgument names the tensor, the row and `path`,
/// the file. Scales inside blocks are not looked at.
Status check_scales(const Linear& linear, std::string_view path = "");

/// The same for F32 [n] alone.
Status check_row_scales(const TensorView& scales, std::string_view path);

/// Bytes of weight, scales and bias as stored.
uint64_t linear_bytes(const Linear& linear);

}  // namespace mokume
