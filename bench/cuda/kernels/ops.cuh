// The launch functions of this target.
#pragma once

#include "bench/cuda/kernels/kernels.h"
#include "kernels/cuda/portable.cuh"

namespace mokume::bench::MKM_TARGET {

using namespace cuda::MKM_TARGET;
using cuda::Half;
using cuda::kWarp;
using cuda::Stream;
using cuda::Words4;

inline constexpr int kThreads = 256;

inline unsigned blocks_of(int threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}
/// Of a row of `width` that a thread has an element of.
MKM_DEVICE int element_index() {
  return static_cast<int>(block_x()) * kThreads + static_cast<int>(thread_x());
}

int rope(const RopeArgs& args, Stream stream);
int append(const AppendArgs& args, Stream stream);
int add(const AddArgs& args, Stream stream);
int sigmoid_of(const SigmoidArgs& args, Stream stream);
int output_gate(const OutputGateArgs& args, Stream stream);
int conv(const ConvArgs& args, Stream stream);
int length(const LengthArgs& args, Stream stream);
int decay(const DecayArgs& args, Stream stream);
int delta_rule(const DeltaRuleArgs& args, Stream stream);
int gated_norm(const GatedNormArgs& args, Stream stream);
int memory(const MemoryArgs& args, Stream stream);

}  // namespace mokume::bench::MKM_TARGET
