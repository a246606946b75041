// Rows of a matrix on several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"

namespace mokume {

/// Calls body(row, buffer) once for every row in [0, rows), each thread with a buffer of its own of
/// `columns` values. Gives the first error that was met; rows not begun by then are left out.
Status for_each_row(int64_t rows, int64_t columns, int threads,
                    const std::function<Status(int64_t row, std::span<float> buffer)>& body);

}  // namespace mokume
