// Matrices into formats that keep their scales beside the values: where a quantizer that knows more
// than the weights (what the inputs are like) takes the place of the plain one.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "base/status.h"
#include "quantize/matrix_rows.h"
#include "quantize/part.h"
#include "tensor/dtype.h"

namespace mokume {

/// One matrix to encode.
struct EncodeJob {
  const Part& part;        ///< its role and layer
  const MatrixRows& rows;  ///< in the order that the file will have
  DType type;              ///< kI8 or kE2M1; columns() is a multiple of 16 for the latter
  int threads = 1;
};

/// As weights/encode.h has them, row after row.
struct EncodedMatrix {
  std::vector<std::byte> values;  ///< I8 [N, K], or E2M1 two to a byte
  std::vector<std::byte> scales;  ///< F32 [N], or E4M3 [N, K/16]
  float divisor = 1;              ///< of the whole matrix, with E2M1
};

using Encoder = std::function<Result<EncodedMatrix>(const EncodeJob&)>;

/// Every row for itself, with the least squared error of the weights.
Result<EncodedMatrix> encode_plainly(const EncodeJob& job);

}  // namespace mokume
