// What the parts of a CPU stage's step share.
#pragma once

namespace mokume {

/// Rows of a piece of row-wise work: a single token stays on the calling thread.
inline constexpr int kRowGrain = 4;

/// Does nothing without a bias.
inline void add_bias(float* row, const float* bias, int columns) {
  if (!bias) return;
  for (int i = 0; i < columns; ++i) row[i] += bias[i];
}

}  // namespace mokume
