// Products of any number of tokens where there is no library for them: tiles of 64 rows of the
// matrix by 64 tokens through shared memory, floats all the way. A sum's order is K's alone.
#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 64;          // rows of the matrix, and tokens
constexpr int kSide = 4;           // outputs of a thread in each direction
constexpr int kPitch = kTile + 4;  // floats of a tile's row, so that 16 bytes stay aligned

template <Format kFormat>
MKM_KERNEL_BLOCKS(kThreads, 2)  // with fewer registers some GPUs' would spill
gemm_kernel(GemmArgs args) {
  using C = Chunk<kFormat>;
  constexpr int kDepth = C::kColumns == 32 ? 64 : 32;  // columns at a time: whole sectors of a row
  constexpr int kRowChunks = kDepth / C::kColumns;
  allow_next();
  wait_for_previous();
  MKM_SHARED(float, w, kDepth* kPitch);  // [column][row of the matrix]
  MKM_SHARED(float, x, kDepth* kPitch);  // [column][token]
  const Rows<kFormat> matrix(args.matrix);
  const Ptr<const float> input = global(args.x);
  const int columns = args.matrix.columns, rows = args.matrix.rows;
  const int first_row = static_cast<int>(block_x()) * kTile;
  const int first_token = static_cast<int>(block_y()) * kTile;
  const int thread = static_cast<int>(thread_x());
  const int my_rows = thread % 16 * kSide, my_tokens = thread / 16 * kSide;

  float sums[kSide][kSide] = {};
  for (int begin = 0; begin < columns; begin += kDepth) {
    for (int i = thread; i < kTile * kRowChunks; i += kThreads) {
      const int row = i / kRowChunks, chunk = i % kRowChunks;
      float values[C::kColumns] = {};
      if (first_row + row < rows && begin + chunk * C::kColumns < columns) {
        matrix.values(first_row + row, begin / C::kColumns + chunk, values);
      }
#pragma unroll
      for (int k = 0; k < C::kColumns; ++k) w[(chunk * C::kColumns + k) * kPitch + row] = values[k];
    }
    for (int i = thread; i < kTile * kDepth / 4; i += kThreads) {
      const int token = i / (kDepth / 4), k = i % (kDepth / 4) * 4;
      Float4 v = {};
      if (first_token + token < args.tokens && begin + k < columns) {
        v = load<Float4>(input + static_cast<ptrdiff_t>(first_token + token) * columns + begin + k);
      }
      x[k * kPitch + token] = v.x;
      x[(k + 1) * kPitch + token] = v.y;
      x[(k + 2) * kPitch + token] = v.z;
      x[(k + 3) * kPitch + token] = v.w;
    }
    sync_block();
    for (int k = 0; k < kDepth; ++k) {
      const Float4 a = load<Float4>(w + k * kPitch + my_rows);
      const Float4 b = load<Float4>(x + k * kPitch + my_tokens);
      const float left[kSide] = {a.x, a.y, a.z, a.w}, right[kSide] = {b.x, b.y, b.z, b.w};
#pragma unroll
      for (int t = 0; t < kSide; ++t) {
#pragma unroll
        for (int r = 0; r < kSide; ++r) sums[t][r] = madd(left[r], right[t], sums[t][r]);
      }
    }
    sync_block();
  }

  const Ptr<float> out = global(args.out);
#pragma unroll
  for (int t = 0; t < kSide; ++t) {
#pragma unroll
    for (int r = 0; r < kSide; ++r) {
      const int row = first_row + my_rows + r, token = first_token + my_tokens + t;
      if (row < rows && token < args.tokens) {
        float value = sums[t][r];
        if (args.matrix.bias) {
          const float bias = global(args.matrix.bias)[row];
          value += bias;
        }
        const ptrdiff_t at = static_cast<ptrdiff_t>(token) * rows + row;
        if (args.accumulate) {
          const float before = out[at];
          value += before;
        }
        out[at] = value;
      }
    }
  }
}

}  // namespace

int gemm(const GemmArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  const Grid grid = {static_cast<unsigned>((args.matrix.rows + kTile - 1) / kTile),
                     static_cast<unsigned>((args.tokens + kTile - 1) / kTile)};
  return with_format(args.matrix.format, [&]<Format kFormat>() {
    return launch(stream, "gemm", gemm_kernel<kFormat>, grid, kThreads, 0, args);
  });
}

}  // namespace mokume::cuda::MKM_TARGET
