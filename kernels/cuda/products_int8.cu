// products.cuh for int8 with inputs of int8.
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kInt8, true>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ8, true>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
