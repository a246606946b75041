// One layer of a model at its true size, as the ops that a decode step of a CUDA stage runs
// (src/device/cuda/cuda_stage_layers.cc) and the least bytes that each has to move.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/cuda/arena.h"
#include "kernels/cuda/kernels.h"
#include "model/model_spec.h"

namespace mokume::bench {

struct Op {
  std::string name;
  std::function<int(cuda::Stream)> run;  ///< its arguments point into the Arena
  double least_bytes = 0;                ///< inputs read once, outputs written once
};

struct DecodeShape {
  int tokens = 1;        ///< one of each sequence, at most kMaxDecodeTokens
  int positions = 1024;  ///< of each sequence, the new one included
};

const char* name_of(cuda::Format format);

std::vector<Op> ops_of(Arena& arena, const LayerSpec& layer, int hidden, cuda::Format format,
                       const DecodeShape& shape);

}  // namespace mokume::bench
