// products_mma.cuh with inputs of NVFP4.
#include "kernels/cuda/fp4_tile.cuh"
#include "kernels/cuda/products_mma.cuh"

namespace mokume::cuda::MKM_TARGET {

int launch_fp4_products(const ProductsArgs& args, Stream stream) {
  return launch_mma_products<Fp4Tile>(args, stream);
}

}  // namespace mokume::cuda::MKM_TARGET
