// What a library's product leaves to be done: scales and bias. A block 1024 outputs of a token.
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 256;
constexpr int kOutputs = 4 * kThreads;

template <typename T>
MKM_KERNEL(kThreads)
rescale_kernel(RescaleArgs args) {
  wait_for_previous();
  const int token = static_cast<int>(block_x()), first = static_cast<int>(block_y()) * kOutputs;
  const ptrdiff_t begin = static_cast<ptrdiff_t>(token) * args.rows;
  const Ptr<const T> sums = global(static_cast<const T*>(args.sums)) + begin;
  const Ptr<float> out = global(args.out) + begin;
  float scale = 1;
  if (args.x_scales) scale = global(args.x_scales)[token];
#pragma unroll
  for (int i = 0; i < kOutputs; i += kThreads) {
    const int row = first + i + static_cast<int>(thread_x());
    if (row >= args.rows) break;
    const T sum = sums[row];
    float value = static_cast<float>(sum) * scale;
    if (args.row_scales) {
      const float of_row = global(args.row_scales)[row];
      value *= of_row;
    }
    if (args.bias) {
      const float bias = global(args.bias)[row];
      value += bias;
    }
    if (args.accumulate) {
      const float before = out[row];
      value += before;
    }
    out[row] = value;
  }
}

}  // namespace

int rescale(const RescaleArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  const Grid grid = {static_cast<unsigned>(args.tokens),
                     static_cast<unsigned>((args.rows + kOutputs - 1) / kOutputs)};
  return args.integers ? launch(stream, "rescale", rescale_kernel<int32_t>, grid, kThreads, 0, args)
                       : launch(stream, "rescale", rescale_kernel<float>, grid, kThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
