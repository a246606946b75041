// A checkpoint in another format: the whole of `mokume quantize`, but for its command line.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "model/load_model.h"
#include "quantize/encoder.h"
#include "tensor/weight_format.h"

namespace mokume {

struct QuantizeOptions {
  std::string input;  ///< GGUF file or Hugging Face directory
  std::string
      output;  ///< a GGUF file when it ends in ".gguf", otherwise a directory; must not exist
  WeightFormat format = WeightFormat::kKeep;
  Encoder encoder = encode_plainly;  ///< for projections in int8 and nvfp4
  int threads = 1;
  std::function<void(uint64_t done, uint64_t total)> progress;  ///< bytes of the source
  std::function<bool()> cancelled;                              ///< asked between slices
};

struct QuantizeSummary {
  uint64_t bytes_before = 0;  ///< of all tensors, as the source stores them
  uint64_t bytes_after = 0;
  int tensors = 0;  ///< written
  bool has_tokenizer = false;
};

/// Reads `model` and writes the output: whole or, on any error, not at all. Holds slices of a
/// tensor at a time, whole matrices only while they are encoded in int8 or nvfp4. AlreadyExists
/// when the output is there, InvalidArgument for a format that its container has not got or numbers
/// it cannot hold, Cancelled when asked to stop.
Result<QuantizeSummary> quantize(const QuantizeOptions& options, const LoadedModel& model);

}  // namespace mokume
