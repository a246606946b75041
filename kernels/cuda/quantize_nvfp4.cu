// Rows of activations as NVFP4, for a library's product. A block a row, four lanes 16 columns.
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/rows.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 256;
constexpr float kMostNvfp4 = 448.0f * 6.0f;  // the largest scale times the largest element

MKM_KERNEL(kThreads)
quantize_nvfp4_kernel(QuantizeNvfp4Args args) {
  wait_for_previous();
  MKM_SHARED(float, scratch, kThreads / kWarp);
  const int row = static_cast<int>(block_x()), width = args.width;
  const Ptr<const float> x = global(args.x) + static_cast<ptrdiff_t>(row) * width;
  const Ptr<uint16_t> out =
      global(static_cast<uint16_t*>(args.out)) + static_cast<ptrdiff_t>(row) * (width / 4);
  const Ptr<uint8_t> scales = global(args.scales);

  float largest = 0;
  for (int i = 4 * thread_x(); i < width; i += 4 * kThreads) {
    largest = fmaxf(largest, largest4(load<Float4>(x + i)));
  }
  largest = block_max(largest, scratch);
  const float inverse = largest > 0 ? kMostNvfp4 / largest : 0.0f;
  if (thread_x() == 0) global(args.factors)[row] = largest / kMostNvfp4;

  for (int begin = 0; begin < width; begin += 4 * kThreads) {  // all lanes, for the exchange
    const int i = begin + 4 * static_cast<int>(thread_x());
    Float4 v = {};
    if (i < width) v = scaled(load<Float4>(x + i), inverse);
    float most = largest4(v);
    most = fmaxf(most, shuffle_xor(most, 1));
    most = fmaxf(most, shuffle_xor(most, 2));
    const Fp8 scale = from_float<Fp8>(most / 6.0f);
    v = scaled(v, scale.bits ? 1.0f / to_float(scale) : 0.0f);
    if (i >= width) continue;
    out[i / 4] = static_cast<uint16_t>(to_e2m1(v.x) | (to_e2m1(v.y) << 4) | (to_e2m1(v.z) << 8) |
                                       (to_e2m1(v.w) << 12));
    if (i % 16 == 0) scales[block_scale_at(row, i / 16, width / 16)] = scale.bits;
  }
}

}  // namespace

int quantize_nvfp4(const QuantizeNvfp4Args& args, Stream stream) {
  if (args.tokens == 0) return 0;
  return launch(stream, "quantize_nvfp4", quantize_nvfp4_kernel,
                {static_cast<unsigned>(args.tokens)}, kThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
