// RMSNorm of rows, with what comes before it (a residual's addition) and after (the type that a
// product reads). A block a row.
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/rows.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 256;

template <typename T>
MKM_KERNEL_BLOCKS(kThreads, 6)  // with fewer registers some GPUs' would spill
rms_norm_kernel(RmsNormArgs args) {
  wait_for_previous();
  MKM_SHARED(float, scratch, kThreads / kWarp);
  const int row = static_cast<int>(block_x()), width = args.width;
  int source = row;
  if (args.rows) source = global(args.rows)[row];
  const Ptr<float> x = global(args.x) + static_cast<ptrdiff_t>(source) * width;
  const Ptr<const float> weight = global(args.weight);

  // 1. x += add, and the squares' sum.
  float squares = 0;
  if (args.add || args.weight) {
    const Ptr<const float> add = global(args.add) + static_cast<ptrdiff_t>(source) * width;
    for (int i = 4 * thread_x(); i < width; i += 4 * kThreads) {
      Float4 v = load<Float4>(x + i);
      if (args.add) {
        const Float4 a = load<Float4>(add + i);
        v = {v.x + a.x, v.y + a.y, v.z + a.z, v.w + a.w};
        store(x + i, v);
      }
      squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
  }
  float factor = 1;
  if (args.weight) {
    const float total = block_sum(squares, scratch);
    factor = inverse_sqrt(total / static_cast<float>(width) + args.epsilon);
  }

  // 2. The row times factor and weight; a thread reads what it wrote itself.
  write_row<T>(args.out, args.scales, row, width, scratch, [&](int i) {
    const Float4 v = scaled(load<Float4>(x + i), factor);
    if (!args.weight) return v;
    const Float4 w = load<Float4>(weight + i);
    return Float4{v.x * w.x, v.y * w.y, v.z * w.z, v.w * w.w};
  });
}

}  // namespace

int rms_norm(const RmsNormArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  return with_element(args.element, [&]<typename T>() {
    return launch(stream, "rms_norm", rms_norm_kernel<T>, {static_cast<unsigned>(args.tokens)},
                  kThreads, 0, args);
  });
}

}  // namespace mokume::cuda::MKM_TARGET
