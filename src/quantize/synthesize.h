// Checkpoints of true shapes with random weights: all of `mokume synthesize` but its command line.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "quantize/synthetic_model.h"
#include "tensor/weight_format.h"

namespace mokume {

struct SynthesizeOptions {
  SyntheticShape shape;
  std::string
      output;  ///< a GGUF file when it ends in ".gguf", otherwise a directory; must not exist
  WeightFormat format = WeightFormat::kNvfp4;
  uint64_t seed = 0;
  int layers = 0;  ///< 0: all that the shape has
  int threads = 1;
  std::function<void(uint64_t done, uint64_t total)> progress;  ///< bytes of the output
  std::function<bool()> cancelled;                              ///< asked between slices
};

struct SynthesizeSummary {
  uint64_t bytes = 0;  ///< of all tensors
  uint64_t parameters = 0;
  int tensors = 0;
};

/// Writes the checkpoint with its tokenizer: whole or, on any error, not at all; the same bytes for
/// the same shape, format, layers and seed. Which tensors take the format is the rule of
/// quantize(). AlreadyExists when the output is there, InvalidArgument for a shape that is not
/// known or a format that its container has not got, Cancelled when asked to stop.
Result<SynthesizeSummary> synthesize(const SynthesizeOptions& options);

}  // namespace mokume
