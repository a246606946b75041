// Products of one input with up to four matrices, and the pair of a SwiGLU: see products.cuh.
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

int products(const ProductsArgs& args, Inputs inputs, Stream stream) {
  const bool fp4 = args.matrices[0].format == Format::kNvfp4 && inputs == Inputs::kNvfp4;
  if (fp4) return launch_fp4_products(args, stream);
  return with_format(args.matrices[0].format, [&]<Format kFormat>() {
    if constexpr (kFormat != Format::kF32) {
      if (inputs != Inputs::kF32) return launch_products<kFormat>(args, stream);
    }
    return launch_exact_products<kFormat>(args, stream);
  });
}

}  // namespace

int matvec(const MatvecArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  ProductsArgs products_args = {};
  for (int m = 0; m < args.count; ++m) {
    products_args.matrices[m] = args.matrices[m];
    products_args.outs[m] = args.outs[m];
    products_args.first_rows[m] = products_args.rows;
    products_args.rows += args.matrices[m].rows;
  }
  products_args.count = args.count;
  products_args.x = args.x;
  products_args.norm_weight = args.norm_weight;
  products_args.gate = args.gate;
  products_args.epsilon = args.epsilon;
  products_args.tokens = args.tokens;
  products_args.accumulate = args.accumulate;
  return products(products_args, args.inputs, stream);
}

int gate_up(const GateUpArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  ProductsArgs products_args = {};
  products_args.matrices[0] = args.gate;
  products_args.matrices[1] = args.up;
  products_args.outs[0] = args.out;
  products_args.count = 2;
  products_args.rows = 2 * args.gate.rows;
  products_args.x = args.x;
  products_args.norm_weight = args.norm_weight;
  products_args.epsilon = args.epsilon;
  products_args.tokens = args.tokens;
  products_args.swiglu = true;
  return products(products_args, args.inputs, stream);
}

}  // namespace mokume::cuda::MKM_TARGET
