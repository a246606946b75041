// What a library's product is on the simulator: the factors' types in earnest, sums in float32 (in
// int32 of integers), in an order that depends on how many tokens the way was chosen for. So what
// must not depend on the library's choice can be seen to do so.
#pragma once

#include <string>

#include "device/cuda/runtime.h"
#include "kernels/simt/memory.h"

namespace mokume::cuda {

/// Unimplemented for sizes that the library would not take either.
Status check_simulated_product(const ProductShape& shape, const GpuInfo& gpu);

/// What is wrong with the arguments, which checks memory as the executor does; or nothing.
std::string run_simulated_product(const ProductShape& shape, const ProductArgs& args,
                                  simt::Memory& memory);

}  // namespace mokume::cuda
