// products_exact.cuh for integers.
#include "kernels/cuda/products_exact.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_exact_products<Format::kInt8>(const ProductsArgs&, Stream);
template int launch_exact_products<Format::kQ8>(const ProductsArgs&, Stream);
template int launch_exact_products<Format::kQ4>(const ProductsArgs&, Stream);
template int launch_exact_products<Format::kQ4Min>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
