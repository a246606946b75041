// Matrices of random weights, made in the form in which they are stored.
#pragma once

#include <cstdint>
#include <functional>

#include "quantize/plan.h"
#include "weights/weight_writer.h"

namespace mokume {

struct RandomMatrixOptions {
  uint64_t seed = 0;
  int threads = 1;
  /// Called after every slice with the bytes that it had; an error ends the work.
  std::function<Status(uint64_t bytes)> advance;
};

/// Writes the values and scales of `planned` as a matrix whose elements are normally distributed
/// around 0 with variance 1 / columns: a vector of variance 1 comes out with variance 1. Values and
/// scales of quantized types are drawn from the distributions that quantizing such a matrix gives
/// them, a scale independently of the values under it; nothing is quantized. Each number depends
/// on the seed, the tensor's name and its place alone. Holds a few MiB. F16, BF16, Q8_0, I8, E2M1
/// and NVFP4; Unimplemented for other types.
Status write_random_matrix(const PlannedPart& planned, const RandomMatrixOptions& options,
                           WeightWriter& writer);

}  // namespace mokume
