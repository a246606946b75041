// A tensor somebody else owns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tensor/dtype.h"

namespace mokume {

/// Contiguous, row-major; the last dimension varies fastest and holds whole blocks. A linear weight
/// is [N, K]: N outputs of K inputs each. `data` stays valid as long as the WeightSource it came
/// from.
struct TensorView {
  std::string name;  ///< as in the checkpoint, for messages
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
  DType dtype = DType::kF32;
  int rank = 0;  ///< 1..4
  std::array<int64_t, 4> shape{};

  explicit operator bool() const { return data != nullptr; }
  int64_t rows() const;     ///< product of all dimensions but the last
  int64_t columns() const;  ///< the last dimension
};

/// "[49152, 576] Q8_0"
std::string to_string(const TensorView& tensor);

/// Writes row `row`, in [0, rows()), as float32: exactly, but that types with a
/// minimum (Q4_1, Q5_1, Q4_K, Q5_K) round once in adding it. `out` holds columns() values.
void dequantize_row(const TensorView& tensor, int64_t row, std::span<float> out);

}  // namespace mokume
