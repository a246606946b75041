// Layers of a published shape whose weights are there but mean nothing, for stages to be loaded
// with in seconds.
#pragma once

#include <memory>

#include "base/status.h"
#include "kernels/cuda/matrix.h"
#include "model/model_spec.h"
#include "quantize/synthetic_model.h"

namespace mokume::bench {

const char* name_of(cuda::Format format);

/// The first `layers` layers (0: all) with weights of random bits in F16, INT8 a channel or NVFP4;
/// what the format leaves alone (quantize/rule.h) is BF16. Matrices of a kind share their bits, so
/// that the host holds one of each. No embedding and no head. InvalidArgument for another format.
Result<std::shared_ptr<const Model>> make_layer_model(const SyntheticShape& shape, int layers,
                                                      cuda::Format format);

}  // namespace mokume::bench
