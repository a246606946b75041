// Random matrices in every format, and their values by the formats' definitions.
#pragma once

#include <string>
#include <vector>

#include "kernels/common/half.h"
#include "tests/kernels_cuda/harness.h"

namespace mokume::cuda {

/// A matrix on the host.
struct HostMatrix {
  Format format = Format::kF32;
  int rows = 0, columns = 0;
  std::vector<uint8_t> data, scales, minimums;
  std::vector<float> bias;
  float factor = 1;

  /// The value at [row, column], with nothing of the kernels' code.
  double value(int row, int column) const;
  Matrix on(TestGpu& gpu) const;
  size_t bytes() const { return data.size() + scales.size() + minimums.size(); }
};

HostMatrix random_matrix(Format format, int rows, int columns, unsigned seed, bool bias = false);
const char* name(Format format);
double e4m3_value(uint8_t bits);

}  // namespace mokume::cuda
