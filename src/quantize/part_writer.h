// Brings the tensors of a plan into a writer, slice by slice.
#pragma once

#include <functional>

#include "base/status.h"
#include "quantize/encoder.h"
#include "quantize/plan.h"
#include "weights/weight_source.h"
#include "weights/weight_writer.h"

namespace mokume {

struct PartWriterOptions {
  Encoder encoder;  ///< for I8 and E2M1, and for GGUF's NVFP4, which is made of the latter
  int threads = 1;
  const WeightSource* source = nullptr;  ///< told of memory that is no longer needed
  /// Called after every slice, with the bytes of the source that it took; an error ends the work.
  std::function<Status(uint64_t bytes)> advance;
};

/// Holds a few MiB at a time, and whole matrices only in types that keep their scales apart.
class PartWriter {
 public:
  PartWriter(const OutputPlan& plan, const PartWriterOptions& options, WeightWriter& writer)
      : plan_(plan), options_(options), writer_(writer) {}

  /// All tensors of one part; InvalidArgument names a tensor whose numbers the type cannot hold.
  Status write(const PlannedPart& planned);

 private:
  Status write_vector(const PlannedPart& planned);
  Status write_bias(const PlannedPart& planned);
  Status write_matrix(const PlannedPart& planned);
  Status write_rows(const PlannedPart& planned, const MatrixRows& rows);
  Status write_encoded(const PlannedPart& planned, const MatrixRows& rows);
  Status write_gguf_nvfp4(const MatrixNames& names, const EncodedMatrix& encoded, int64_t columns);
  Status write_floats(const std::string& name, std::span<const float> values);

  const OutputPlan& plan_;
  const PartWriterOptions& options_;
  WeightWriter& writer_;
};

}  // namespace mokume
