#include "kernels/cuda/ops.cuh"

namespace mokume::cuda {
namespace {

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
    .rescale = MKM_TARGET::rescale,
    .dequantize = MKM_TARGET::dequantize,
    .quantize_nvfp4 = MKM_TARGET::quantize_nvfp4,
    .pack_nvfp4 = MKM_TARGET::pack_nvfp4,
    .silu_mul = MKM_TARGET::silu_mul,
    .rope_append = MKM_TARGET::rope_append,
    .attention_decode = MKM_TARGET::attention_decode,
    .attention_prefill = MKM_TARGET::attention_prefill,
    .delta_net_decode = MKM_TARGET::delta_net_decode,
    .delta_net_prefill = MKM_TARGET::delta_net_prefill,
    .sample = MKM_TARGET::sample,
};

}  // namespace

#if defined(__CUDACC__)
const CudaKernels& cuda_kernels() { return kTable; }
#else
const CudaKernels& simt_kernels() { return kTable; }
#endif

}  // namespace mokume::cuda
