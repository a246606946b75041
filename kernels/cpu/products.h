// Sums of outer products of float32 rows: what calibration spends its time in.
#pragma once

#include <cstddef>

namespace mokume::kernels {

struct FloatRows {
  const float* data = nullptr;
  size_t stride = 0;  ///< floats between rows
};

/// c[i][j] += sum over t in [0, depth) of a[t][i] * b[t][j], for i in [0, rows), j in [0, columns),
/// both multiples of 16.
void add_products(const FloatRows& a, const FloatRows& b, int depth, float* c, size_t c_stride,
                  int rows, int columns);

}  // namespace mokume::kernels
