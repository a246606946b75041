// products.cuh for quants of 4 bits with inputs of int8.
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kQ4, true>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ4Min, true>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
