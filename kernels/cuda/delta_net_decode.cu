// The gated delta net of steps with one token a sequence, as one kernel: convolution, lengths,
// gates, recurrence, norm and gate. A block has one value head of one token; its state passes
// through registers once.
#include "kernels/cuda/delta_net.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 512;
constexpr int kRows = 8;  // of a thread, at most
constexpr int kParts = 4 * kThreads;

/// Which part of a head's state [key_dim][value_dim] a thread has: four columns of every
/// `groups`-th row from `first` on.
struct Share {
  int column, first, groups;
  bool any;

  MKM_DEVICE explicit Share(const DeltaNetArgs& args) {
    const int width = args.value_dim / 4;
    groups = kThreads / width;
    column = static_cast<int>(thread_x()) % width * 4;
    first = static_cast<int>(thread_x()) / width;
    any = first < groups;
  }
};

/// out[c] = the sum of every group's part of column c.
MKM_DEVICE void join_parts(const Share& share, int columns, Ptr<float> parts, Float4 part,
                           Ptr<float> out) {
  if (share.any) store(parts + share.first * columns + share.column, part);
  sync_block();
  for (int c = thread_x(); c < columns; c += kThreads) {
    float total = 0;
    for (int g = 0; g < share.groups; ++g) {
      const float of_group = parts[g * columns + c];
      total += of_group;
    }
    out[c] = total;
  }
  sync_block();
}

MKM_DEVICE Float4 madd4(float a, Float4 b, Float4 c) {
  return {madd(a, b.x, c.x), madd(a, b.y, c.y), madd(a, b.z, c.z), madd(a, b.w, c.w)};
}
MKM_DEVICE Float4 times(float a, Float4 b) { return {a * b.x, a * b.y, a * b.z, a * b.w}; }

/// In a warp: `vector` times length over its own length.
MKM_DEVICE void set_length(Ptr<float> vector, int dim, float length) {
  float squares = 0;
  for (int i = lane_id(); i < dim; i += kWarp) {
    const float x = vector[i];
    squares = madd(x, x, squares);
  }
  const float factor = length * inverse_sqrt(warp_sum(squares) + kLengthEpsilon);
  for (int i = lane_id(); i < dim; i += kWarp) vector[i] *= factor;
}

// One block is enough to ask for: on sm_120 the compiler would rather spill than have only one.
MKM_KERNEL_BLOCKS(kThreads, 1)
delta_net_decode_kernel(DeltaNetArgs args) {
  wait_for_previous();
  MKM_SHARED(float, query, kMaxDeltaDim);
  MKM_SHARED(float, key, kMaxDeltaDim);
  MKM_SHARED(float, value, kMaxDeltaDim);  // then the values' change
  MKM_SHARED(float, result, kMaxDeltaDim);
  MKM_SHARED(float, parts, kParts);
  MKM_SHARED(float, gates, 3);  // decay, beta, the norm's factor
  const int head = static_cast<int>(block_y()), key_head = key_head_of(args, head);
  const NetToken at = net_token(args.step, static_cast<int>(block_x()));
  const int keys = args.key_dim, values = args.value_dim;
  const ptrdiff_t out = (static_cast<ptrdiff_t>(at.token) * args.value_heads + head) * values;
  if (at.position < 0) {  // the same for the whole block
    for (int c = thread_x(); c < values; c += kThreads) global(args.out)[out + c] = 0.0f;
    return;
  }

  // 1. The state's way from memory begins; meanwhile the convolution.
  const Share share(args);
  const ptrdiff_t state_at =
      (static_cast<ptrdiff_t>(at.slot) * args.value_heads + head) * keys * values;
  const Ptr<float> state = global(args.states) + state_at;
  Float4 rows[kRows];
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int row = share.first + i * share.groups;
    rows[i] = {0, 0, 0, 0};
    if (share.any && row < keys && at.position > 0) {
      rows[i] = load<Float4>(state + row * values + share.column);
    }
  }
  const int width = args.key_heads * keys;
  const bool owns_keys =
      args.tiled_heads ? head < args.key_heads : head % (args.value_heads / args.key_heads) == 0;
  for (int c = thread_x(); c < 2 * keys + values; c += kThreads) {
    const bool is_query = c < keys, is_value = c >= 2 * keys;
    const int channel = is_query   ? key_head * keys + c
                        : is_value ? 2 * width + head * values + c - 2 * keys
                                   : width + key_head * keys + c - keys;
    const float x = convolve(args, at, channel);
    if (is_query) query[c] = x;
    if (is_value) value[c - 2 * keys] = x;
    if (!is_query && !is_value) key[c - keys] = x;
    if (is_value || owns_keys) {  // each input is kept once
      const float input =
          global(args.qkv)[static_cast<ptrdiff_t>(at.token) * net_channels(args) + channel];
      conv_ring(args, at.slot, at.position)[channel] = input;
    }
  }
  sync_block();
  if (warp_id() == 0) set_length(query, keys, inverse_sqrt(static_cast<float>(keys)));
  if (warp_id() == 1) set_length(key, keys, 1);
  if (warp_id() == 2 && lane_id() == 0) {
    gates[0] = net_decay(args, at.token, head);
    gates[1] = net_beta(args, at.token, head);
  }
  sync_block();
  const float decay = gates[0], beta = gates[1];

  // 2. What the state holds at the key.
  Float4 part = {0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int row = share.first + i * share.groups;
    rows[i] = times(decay, rows[i]);
    if (share.any && row < keys) {
      const float k = key[row];
      part = madd4(k, rows[i], part);
    }
  }
  join_parts(share, values, parts, part, result);
  for (int c = thread_x(); c < values; c += kThreads) {
    const float v = value[c], seen = result[c];
    value[c] = beta * (v - seen);
  }
  sync_block();

  // 3. The new state, and what it gives for the query.
  part = {0, 0, 0, 0};
  Float4 change = {0, 0, 0, 0};
  if (share.any) change = load<Float4>(value + share.column);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const int row = share.first + i * share.groups;
    if (share.any && row < keys) {
      const float k = key[row], q = query[row];
      rows[i] = madd4(k, change, rows[i]);
      store(state + row * values + share.column, rows[i]);
      part = madd4(q, rows[i], part);
    }
  }
  join_parts(share, values, parts, part, result);

  // 4. norm(result) * silu(z)
  if (warp_id() == 0) {
    float squares = 0;
    for (int c = lane_id(); c < values; c += kWarp) {
      const float x = result[c];
      squares = madd(x, x, squares);
    }
    squares = warp_sum(squares);
    if (lane_id() == 0)
      gates[2] = inverse_sqrt(squares / static_cast<float>(values) + args.epsilon);
  }
  sync_block();
  const float factor = gates[2];
  for (int c = thread_x(); c < values; c += kThreads) {
    const float x = result[c], w = global(args.norm_weight)[c], z = global(args.z)[out + c];
    global(args.out)[out + c] = x * factor * w * silu(z);
  }
}

}  // namespace

int delta_net_decode(const DeltaNetArgs& args, Stream stream) {
  if (args.step.tokens == 0) return 0;
  return launch(stream, "delta_net_decode", delta_net_decode_kernel,
                {static_cast<unsigned>(args.step.tokens), static_cast<unsigned>(args.value_heads)},
                kThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
