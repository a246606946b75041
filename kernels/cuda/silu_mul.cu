// silu(gate) * up of rows, in the type that a product reads. A block a row.
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/rows.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 256;

template <typename T>
MKM_KERNEL(kThreads)
silu_mul_kernel(SiluMulArgs args) {
  wait_for_previous();
  MKM_SHARED(float, scratch, kThreads / kWarp);
  const int row = static_cast<int>(block_x());
  const ptrdiff_t first = static_cast<ptrdiff_t>(row) * args.width;
  const Ptr<const float> gate = global(args.gate) + first;
  const Ptr<const float> up = global(args.up) + first;
  write_row<T>(args.out, args.scales, row, args.width, scratch, [&](int i) {
    const Float4 g = load<Float4>(gate + i), u = load<Float4>(up + i);
    return Float4{silu(g.x) * u.x, silu(g.y) * u.y, silu(g.z) * u.z, silu(g.w) * u.w};
  });
}

}  // namespace

int silu_mul(const SiluMulArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  return with_element(args.element, [&]<typename T>() {
    return launch(stream, "silu_mul", silu_mul_kernel<T>, {static_cast<unsigned>(args.tokens)},
                  kThreads, 0, args);
  });
}

}  // namespace mokume::cuda::MKM_TARGET
