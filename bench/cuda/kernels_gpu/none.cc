// A build without CUDA has no such kernels.
#include "bench/cuda/kernels/kernels.h"

namespace mokume::bench {

const BenchKernels* bench_kernels_cuda() { return nullptr; }

}  // namespace mokume::bench
