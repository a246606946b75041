// Products of packed weights.
#pragma once

#include "bench/kernels/bench.h"
#include "tests/kernels/weight_types.h"

namespace mokume::bench {

struct MatmulShape {
  int rows = 0, columns = 0, tokens = 0;
  bool int8 = true;  ///< activations rounded to int8, else float32
};

/// Checks the kernel against the scalar reference, and where `only_check` is false measures it: few
/// tokens against reading memory, with more weights than caches hold; many against the peak of dot
/// products or multiply-adds.
Figures bench_matmul(const Setting& setting, const kernels::WeightType& type,
                     const MatmulShape& shape, bool only_check);

}  // namespace mokume::bench
