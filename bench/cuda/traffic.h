// The least bytes of the device's memory that an op moves: inputs read once, outputs written once.
#pragma once

#include "kernels/cuda/kernels.h"

namespace mokume::bench {

/// `positions`: of each sequence of the step, the new one included. Of a step of one token a
/// sequence.
double least_bytes(const cuda::EmbedArgs& args, int positions);
double least_bytes(const cuda::RmsNormArgs& args, int positions);
double least_bytes(const cuda::MatvecArgs& args, int positions);
double least_bytes(const cuda::GateUpArgs& args, int positions);
double least_bytes(const cuda::SiluMulArgs& args, int positions);
double least_bytes(const cuda::RopeAppendArgs& args, int positions);
double least_bytes(const cuda::AttentionArgs& args, int positions);
double least_bytes(const cuda::DeltaNetArgs& args, int positions);

}  // namespace mokume::bench
