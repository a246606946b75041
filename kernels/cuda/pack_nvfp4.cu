// An NVFP4 matrix as a library reads it: neighbouring columns in a byte, scales in tiles. A block a
// row, a lane 32 columns.
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 128;

/// Four low nibbles, one in each byte, side by side.
MKM_DEVICE uint32_t together(uint32_t nibbles) {
  const uint32_t pairs = (nibbles | (nibbles >> 4)) & 0x00ff00ffu;
  return (pairs | (pairs >> 8)) & 0xffffu;
}
MKM_DEVICE uint32_t low_columns(uint32_t a, uint32_t b) {
  return together(a & 0x0f0f0f0fu) | (together(b & 0x0f0f0f0fu) << 16);
}
MKM_DEVICE uint32_t high_columns(uint32_t a, uint32_t b) { return low_columns(a >> 4, b >> 4); }

MKM_KERNEL(kThreads)
pack_nvfp4_kernel(PackNvfp4Args args) {
  wait_for_previous();
  const int row = static_cast<int>(block_x());
  const int chunks = args.matrix.columns / 32, groups = 2 * chunks;
  const Ptr<const uint8_t> data = global(static_cast<const uint8_t*>(args.matrix.data)) +
                                  static_cast<ptrdiff_t>(row) * chunks * 16;
  const Ptr<const uint8_t> scales = global(static_cast<const uint8_t*>(args.matrix.scales)) +
                                    static_cast<ptrdiff_t>(row) * groups;
  const Ptr<uint8_t> out =
      global(static_cast<uint8_t*>(args.out)) + static_cast<ptrdiff_t>(row) * chunks * 16;
  const Ptr<uint8_t> out_scales = global(args.scales);
  for (int chunk = thread_x(); chunk < chunks; chunk += kThreads) {
    const Words4 in = load_once<Words4>(data + chunk * 16);
    store(out + chunk * 16,
          Words4{{low_columns(in.w[0], in.w[1]), low_columns(in.w[2], in.w[3]),
                  high_columns(in.w[0], in.w[1]), high_columns(in.w[2], in.w[3])}});
    // Two neighbours, of four that lie together there too.
    store(out_scales + block_scale_at(row, 2 * chunk, groups), load<uint16_t>(scales + 2 * chunk));
  }
}

}  // namespace

int pack_nvfp4(const PackNvfp4Args& args, Stream stream) {
  if (args.matrix.rows == 0) return 0;
  return launch(stream, "pack_nvfp4", pack_nvfp4_kernel, {static_cast<unsigned>(args.matrix.rows)},
                kThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
