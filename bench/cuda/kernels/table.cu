#include "bench/cuda/kernels/ops.cuh"

namespace mokume::bench {
namespace {

constexpr BenchKernels kTable = {
    .rope = MKM_TARGET::rope,
    .append = MKM_TARGET::append,
    .add = MKM_TARGET::add,
    .sigmoid = MKM_TARGET::sigmoid_of,
    .output_gate = MKM_TARGET::output_gate,
    .conv = MKM_TARGET::conv,
    .length = MKM_TARGET::length,
    .decay = MKM_TARGET::decay,
    .delta_rule = MKM_TARGET::delta_rule,
    .gated_norm = MKM_TARGET::gated_norm,
    .memory = MKM_TARGET::memory,
};

}  // namespace

#if defined(__CUDACC__)
const BenchKernels* bench_kernels_cuda() { return &kTable; }
#else
const BenchKernels& bench_kernels_simt() { return kTable; }
#endif

}  // namespace mokume::bench
