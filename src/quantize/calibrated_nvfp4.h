// NVFP4 of a matrix whose inputs' second moments are known.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "quantize/encoder.h"
#include "quantize/feedback.h"

namespace mokume {

/// Writes row `row` of the weight, in the order of the columns of `feedback`. Called from several
/// threads at once.
using ReadRow = std::function<Status(int64_t row, std::span<float> out)>;

/// Columns are rounded in their order, each with the errors of those before it fed forward; a
/// group's scale is the one, of those near max / 6 and max / 4, with which its own 16 columns cost
/// least. Finite weights are the reader's part; K is a multiple of 16.
Result<EncodedMatrix> calibrated_nvfp4(int64_t rows, const ReadRow& read, const Feedback& feedback,
                                       int threads);

}  // namespace mokume
