// Products with inputs of 16 bits, of matrices of floats.
#include "kernels/cuda/products_half.cuh"

namespace mokume::cuda::MKM_TARGET {

template int launch_products<Format::kF16>(const ProductsArgs&, Stream);
template int launch_products<Format::kBF16>(const ProductsArgs&, Stream);
template int launch_products<Format::kF8>(const ProductsArgs&, Stream);
template int launch_products<Format::kNvfp4>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
