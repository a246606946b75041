// Products with inputs of 16 bits, of matrices of integers.
#include "kernels/cuda/products_half.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kInt8>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ8>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ4>(const ProductsArgs&, Stream);
template int launch_products<Format::kQ4Min>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
