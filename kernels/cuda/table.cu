#include "kernels/cuda/ops.cuh"

namespace mokume::cuda {
namespace {

// An op whose file is not written yet has nullptr in its place.
constexpr CudaKernels kTable = {
#if defined(__CUDACC__)
    .name = "cuda",
#else
    .name = "simt",
#endif
    .embed = MKM_TARGET::embed,
    .rms_norm = MKM_TARGET::rms_norm,
    .matvec = MKM_TARGET::matvec,
    .gate_up = MKM_TARGET::gate_up,
    .gemm = MKM_TARGET::gemm,
    .dequantize = MKM_TARGET::dequantize,
    .silu_mul = MKM_TARGET::silu_mul,
    .rope_append = nullptr,
    .attention_decode = nullptr,
    .attention_prefill = nullptr,
    .delta_net_decode = nullptr,
    .delta_net_prefill = nullptr,
    .sample = nullptr,
};

}  // namespace

#if defined(__CUDACC__)
const CudaKernels& cuda_kernels() { return kTable; }
#else
const CudaKernels& simt_kernels() { return kTable; }
#endif

}  // namespace mokume::cuda
