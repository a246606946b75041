// Decode steps of a model's layers at their true size: as the product runs them, through a stage of
// a CUDA device, and one kernel an op, as a plain framework would.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/cuda/kernels/kernels.h"
#include "device/cuda/runtime.h"
#include "device/device.h"

namespace mokume::bench {

struct DecodeShape {
  int tokens = 1;        ///< one of each sequence, at most kMaxDecodeTokens
  int positions = 1024;  ///< of each sequence, the new one included
};

/// What a stage is told of such a step.
class DecodeStep {
 public:
  explicit DecodeStep(const DecodeShape& shape);
  StageStep step() const;  ///< points into this; without hidden states

 private:
  std::vector<int32_t> ids_, pages_;
  std::vector<SequenceSlice> slices_;
};

/// Layers [first, last) of a model, which outlives them, with neither embedding nor head. Room for
/// 4096 positions of each sequence, as the daemon's first recorded step has.
StageOptions layer_options(std::shared_ptr<const Model> model, int first, int last, int tokens);

/// Layers that are stepped on a GPU, which outlives them.
class Layers {
 public:
  virtual ~Layers() = default;
  /// hidden [tokens][hidden] of a step to what the layers make of it; the new token of each
  /// sequence is at shape.positions - 1.
  virtual Status step(const DecodeShape& shape, const float* in, float* out) = 0;
};

/// What layers hold.
struct Held {
  uint64_t weights = 0, kv = 0, states = 0;
  /// All of it: so many bytes at the front of the largest piece of memory that either of the
  /// following takes, before its activations.
  uint64_t extent = 0;

  /// That a step reads, or writes again.
  double bytes_of_step(const StageOptions& options, const DecodeShape& shape) const;
};
Result<Held> held_by(const StageOptions& options);

/// A stage of a CUDA device.
Result<std::unique_ptr<Layers>> make_product_layers(const StageOptions& options, cuda::Gpu& gpu);

/// The same weights, with `kernels` and those of kernels/cuda that are one op: products of one
/// matrix without norm or residual, RMSNorm, attention, silu(gate) * up. Recorded as a graph, as
/// the stage's steps are.
Result<std::unique_ptr<Layers>> make_plain_layers(const StageOptions& options, cuda::Gpu& gpu,
                                                  const BenchKernels& kernels);

}  // namespace mokume::bench
