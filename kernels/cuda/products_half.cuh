// products_mma.cuh with inputs of 16 bits.
#pragma once

#include "kernels/cuda/half_tile.cuh"
#include "kernels/cuda/products_mma.cuh"

namespace mokume::cuda::MKM_TARGET {

template <Format kFormat>
struct HalfTiles {
  template <int kTokens>
  using Of = HalfTile<kFormat, kTokens>;
};

template <Format kFormat>
int launch_products(const ProductsArgs& args, Stream stream) {
  return launch_mma_products<HalfTiles<kFormat>::template Of>(args, stream);
}

}  // namespace mokume::cuda::MKM_TARGET
