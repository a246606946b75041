// products.cuh for floats of 32 and 16 bits.
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kF32, false>(const ProductsArgs&, Stream);
template int launch_products<Format::kF16, false>(const ProductsArgs&, Stream);
template int launch_products<Format::kBF16, false>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
