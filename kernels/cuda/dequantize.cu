// A matrix as float32, f16 or bf16. A block a row, a lane 16 bytes of it at a time.
#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/rows.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 128;

template <Format kFormat, typename T>
MKM_KERNEL(kThreads)
dequantize_kernel(DequantizeArgs args) {
  wait_for_previous();
  constexpr int kColumns = Chunk<kFormat>::kColumns;
  const Rows<kFormat> matrix(args.matrix);
  const int row = static_cast<int>(block_x());
  const Ptr<T> out =
      global(static_cast<T*>(args.out)) + static_cast<ptrdiff_t>(row) * args.matrix.columns;
  for (int chunk = thread_x(); chunk < matrix.chunks; chunk += kThreads) {
    float values[kColumns];
    matrix.values(row, chunk, values);
#pragma unroll
    for (int i = 0; i < kColumns; i += 4) {
      store4(out + chunk * kColumns + i,
             Float4{values[i], values[i + 1], values[i + 2], values[i + 3]});
    }
  }
}

template <typename T>
int dequantize_as(const DequantizeArgs& args, Stream stream) {
  return with_format(args.matrix.format, [&]<Format kFormat>() {
    return launch(stream, "dequantize", dequantize_kernel<kFormat, T>,
                  {static_cast<unsigned>(args.matrix.rows)}, kThreads, 0, args);
  });
}

}  // namespace

int dequantize(const DequantizeArgs& args, Stream stream) {
  if (args.matrix.rows == 0) return 0;
  if (args.element == Element::kF32) return dequantize_as<float>(args, stream);
  return args.element == Element::kF16 ? dequantize_as<Half>(args, stream)
                                       : dequantize_as<BFloat16>(args, stream);
}

}  // namespace mokume::cuda::MKM_TARGET
