// products.cuh for integers with inputs of float32.
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kInt8, false>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ8, false>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ4, false>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ4Min, false>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
