// What works on rows of activations between the products.
#pragma once

#include <string>
#include <vector>

#include "bench/kernels/bench.h"

namespace mokume::bench {

/// Names of the kernels that bench_rows() knows.
const std::vector<std::string>& row_kernels();

/// Checks `kernel` against the scalar reference on one row of `columns` (a multiple of 64), and
/// measures bytes read and written a second, in cache, on all threads. Its limit is a copy of rows
/// of that size.
Figures bench_rows(const Setting& setting, const std::string& kernel, int columns, bool only_check);

}  // namespace mokume::bench
