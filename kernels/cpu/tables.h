// The tables that this build was made with; asking whether the machine can run one is
// cpu_kernels()'s part.
#pragma once

namespace mokume::kernels {

struct CpuKernels;

const CpuKernels& scalar_kernels();
const CpuKernels& avx2_kernels();
const CpuKernels& avx_vnni_kernels();
const CpuKernels& avx512_vnni_kernels();
const CpuKernels& neon_kernels();

}  // namespace mokume::kernels
