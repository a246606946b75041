// Rows of the embedding table as float32: a block a token, a lane 16 bytes of the row at a time.
#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 128;

template <Format kFormat>
MKM_KERNEL(kThreads)
embed_kernel(EmbedArgs args) {
  wait_for_previous();
  constexpr int kColumns = Chunk<kFormat>::kColumns;
  const Rows<kFormat> table(args.table);
  const Ptr<const int32_t> ids = global(args.ids);
  const Ptr<float> out = global(args.out) + static_cast<ptrdiff_t>(block_x()) * args.table.columns;
  const int id = ids[block_x()];
  const bool known = id >= 0 && id < args.table.rows;
  for (int chunk = thread_x(); chunk < table.chunks; chunk += kThreads) {
    float values[kColumns] = {};
    if (known) table.values(id, chunk, values);
#pragma unroll
    for (int i = 0; i < kColumns; i += 4) {
      store(out + chunk * kColumns + i,
            Float4{values[i], values[i + 1], values[i + 2], values[i + 3]});
    }
  }
}

}  // namespace

int embed(const EmbedArgs& args, Stream stream) {
  if (args.tokens == 0) return 0;
  return with_format(args.table.format, [&]<Format kFormat>() {
    return launch(stream, "embed", embed_kernel<kFormat>, {static_cast<unsigned>(args.tokens)},
                  kThreads, 0, args);
  });
}

}  // namespace mokume::cuda::MKM_TARGET
