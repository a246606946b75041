// What lies between the projections and attention: norms of heads, rope, gates apart from queries,
// keys and values into their pages. A warp a head; a block has four.
#include "kernels/cuda/ops.cuh"
#include "kernels/cuda/rows.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 128;
constexpr int kHeads = kThreads / kWarp;
constexpr int kLaneElements = kMaxHeadDim / kWarp;

/// A head: element d lies in lane d % 32.
struct Head {
  float v[kLaneElements];

  template <typename Body>
  MKM_DEVICE void each(int dim, const Body& body) {
#pragma unroll
    for (int i = 0; i < kLaneElements; ++i) {
      const int d = lane_id() + i * kWarp;
      if (d < dim) body(d, v[i]);
    }
  }
};

MKM_DEVICE Head load_head(Ptr<const float> row, int dim) {
  Head head = {};
  head.each(dim, [&](int d, float& v) { v = row[d]; });
  return head;
}

MKM_DEVICE void normalize(Head& head, const float* norm, float epsilon, int dim) {
  if (!norm) return;
  const Ptr<const float> weight = global(norm);
  float squares = 0;
  head.each(dim, [&](int, float& v) { squares = madd(v, v, squares); });
  const float factor = inverse_sqrt(warp_sum(squares) / static_cast<float>(dim) + epsilon);
  head.each(dim, [&](int d, float& v) {
    const float w = weight[d];
    v *= factor * w;
  });
}

/// Turns the first rope_dims elements by the position's angles; `row` is the warp's, in shared
/// memory.
MKM_DEVICE void rotate(Head& head, const RopeAppendArgs& args, int position, Ptr<float> row) {
  const Ptr<const float> frequencies = global(args.inverse_frequencies);
  const int half = args.rope_dims / 2;
  head.each(args.kv.head_dim, [&](int d, float& v) { row[d] = v; });
  sync_warp();
  head.each(args.rope_dims, [&](int d, float& v) {
    const bool second = args.interleaved ? d % 2 == 1 : d >= half;
    const int pair = args.interleaved ? d / 2 : d % half;
    const int partner = args.interleaved ? d ^ 1 : (second ? d - half : d + half);
    const float frequency = frequencies[pair];
    const float angle = static_cast<float>(position) * frequency;
    const float c = cosf(angle) * args.magnitude, s = sinf(angle) * args.magnitude;
    const float other = row[partner];
    v = second ? madd(other, s, v * c) : madd(-other, s, v * c);
  });
}

template <typename T>
MKM_DEVICE void store_head(Head& head, void* pages, float* scales, ptrdiff_t row, int dim) {
  const Ptr<T> out = global(static_cast<T*>(pages)) + row * dim;
  float inverse = 1;
  if constexpr (sizeof(T) == 1) {
    float largest = 0;
    head.each(dim, [&](int, float& v) { largest = fmaxf(largest, fabsf(v)); });
    largest = warp_max(largest);
    inverse = largest > 0 ? Largest<T>::kValue / largest : 0.0f;
    if (lane_id() == 0) global(scales)[row] = largest / Largest<T>::kValue;
  }
  head.each(dim, [&](int d, float& v) { out[d] = from_float<T>(v * inverse); });
}

MKM_DEVICE void write_query(const RopeAppendArgs& args, int token, int head, int position,
                            Ptr<float> row) {
  const int dim = args.kv.head_dim;
  const ptrdiff_t at = static_cast<ptrdiff_t>(token) * args.heads + head;
  const Ptr<const float> source = global(args.q) + at * dim * (args.gate ? 2 : 1);
  Head query = load_head(source, dim);
  normalize(query, args.q_norm, args.q_epsilon, dim);
  rotate(query, args, position, row);
  const Ptr<float> out = global(args.q_out) + at * dim;
  query.each(dim, [&](int d, float& v) { out[d] = v; });
  if (!args.gate) return;
  Head gates = load_head(source + dim, dim);
  const Ptr<float> gate = global(args.gate) + at * dim;
  gates.each(dim, [&](int d, float& v) { gate[d] = v; });
}

template <typename T>
MKM_DEVICE void append(const RopeAppendArgs& args, int token, int head, int position,
                       Ptr<float> row) {
  const KvCache& kv = args.kv;
  const ptrdiff_t at = (static_cast<ptrdiff_t>(token) * kv.kv_heads + head) * kv.head_dim;
  Head key = load_head(global(args.k) + at, kv.head_dim);
  Head value = load_head(global(args.v) + at, kv.head_dim);
  normalize(key, args.k_norm, args.k_epsilon, kv.head_dim);
  rotate(key, args, position, row);
  const int sequence = global(args.step.sequences)[token];
  const int page =
      global(args.step.page_table)[static_cast<ptrdiff_t>(sequence) * args.step.page_stride +
                                   position / kv.page_tokens];
  const ptrdiff_t place = (static_cast<ptrdiff_t>(page) * kv.kv_heads + head) * kv.page_tokens +
                          position % kv.page_tokens;
  store_head<T>(key, kv.keys, kv.key_scales, place, kv.head_dim);
  store_head<T>(value, kv.values, kv.value_scales, place, kv.head_dim);
}

template <typename T>
MKM_KERNEL_BLOCKS(kThreads, 8)  // with fewer registers some GPUs' would spill
rope_append_kernel(RopeAppendArgs args) {
  wait_for_previous();
  MKM_SHARED(float, rows, kHeads* kMaxHeadDim);
  const Ptr<float> row = rows + warp_id() * kMaxHeadDim;
  const int token = static_cast<int>(block_x());
  const int unit = static_cast<int>(block_y()) * kHeads + warp_id();
  const int position = global(args.step.positions)[token];
  if (unit < args.heads) {
    write_query(args, token, unit, position < 0 ? 0 : position, row);
  } else if (unit < args.heads + args.kv.kv_heads && position >= 0) {
    append<T>(args, token, unit - args.heads, position, row);
  }
}

}  // namespace

int rope_append(const RopeAppendArgs& args, Stream stream) {
  if (args.step.tokens == 0) return 0;
  const int units = args.heads + args.kv.kv_heads;
  const Grid grid = {static_cast<unsigned>(args.step.tokens),
                     static_cast<unsigned>((units + kHeads - 1) / kHeads)};
  return with_element(args.kv.element, [&]<typename T>() {
    return launch(stream, "rope_append", rope_append_kernel<T>, grid, kThreads, 0, args);
  });
}

}  // namespace mokume::cuda::MKM_TARGET
