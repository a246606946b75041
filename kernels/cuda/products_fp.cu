// products.cuh for FP8 and NVFP4.
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kF8, false>(const ProductsArgs&, Stream);
template int launch_products<Format::kNvfp4, false>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
