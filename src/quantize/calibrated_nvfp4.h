// NVFP4 of a matrix whose inputs' second moments are known.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "quantize/encoder.h"
#include "quantize/feedback.h"

namespace mokume {

/// Writes row `row` of a matrix, in the order of the columns of `feedback`. Called from several
/// threads at once.
using ReadRow = std::function<Status(int64_t row, std::span<float> out)>;

struct CalibratedMatrix {
  int64_t rows = 0;
  ReadRow weights;  ///< finite; K is a multiple of 16
  /// The sums, over the inputs x that gave the second moments, of wanted outputs times x. Empty:
  /// the outputs of `weights` are wanted.
  ReadRow wanted;
};

/// Least squared error of the outputs on the inputs of `feedback`; half of the way towards those
/// that are wanted, where any are. Columns are rounded in their order, group after group, each with
/// the errors of those before it fed forward; a group's scale is the one, of those near max / 6 and
/// max / 4, with which its own 16 columns cost least. Then every group is chosen again, given all
/// others, twice.
Result<EncodedMatrix> calibrated_nvfp4(const CalibratedMatrix& matrix, const Feedback& feedback,
                                       int threads);

}  // namespace mokume
