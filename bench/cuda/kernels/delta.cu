// Ops of delta nets, one kernel each.
#include "bench/cuda/kernels/ops.cuh"

namespace mokume::bench::MKM_TARGET {
namespace {

constexpr int kRuleThreads = cuda::kMaxDeltaDim;
constexpr float kLengthEpsilon = 1e-6f;

MKM_KERNEL(kThreads)
conv_kernel(ConvArgs args) {
  wait_for_previous();
  const int channel = element_index(), token = static_cast<int>(block_y());
  const int position = global(args.step.positions)[token];
  if (channel >= args.channels || position < 0) return;
  const int sequence = global(args.step.sequences)[token];
  const int slot = global(args.step.state_slots)[sequence];
  const Ptr<float> ring = global(args.conv_states) +
                          static_cast<ptrdiff_t>(slot) * args.conv_kernel * args.channels + channel;
  const float newest = global(args.qkv)[static_cast<ptrdiff_t>(token) * args.channels + channel];
  float total = 0;
  for (int tap = 0; tap < args.conv_kernel; ++tap) {  // the oldest input first
    const int back = args.conv_kernel - 1 - tap;
    if (position < back) continue;
    float x = newest;
    if (back > 0) {
      x = ring[static_cast<ptrdiff_t>((position - back) % args.conv_kernel) * args.channels];
    }
    const float w = global(args.conv)[static_cast<ptrdiff_t>(tap) * args.channels + channel];
    total = madd(w, x, total);
  }
  ring[static_cast<ptrdiff_t>(position % args.conv_kernel) * args.channels] = newest;
  global(args.out)[static_cast<ptrdiff_t>(token) * args.channels + channel] = silu(total);
}

// A warp a head.
MKM_KERNEL(kThreads)
length_kernel(LengthArgs args) {
  wait_for_previous();
  const int row = static_cast<int>(block_x()) * (kThreads / kWarp) + warp_id();
  const bool any = row < args.tokens * args.heads;
  const ptrdiff_t at = any ? static_cast<ptrdiff_t>(row / args.heads) * args.stride +
                                 static_cast<ptrdiff_t>(row % args.heads) * args.dim
                           : 0;
  const Ptr<float> x = global(args.x) + at;
  float squares = 0;
  for (int i = lane_id(); any && i < args.dim; i += kWarp) {
    const float v = x[i];
    squares = madd(v, v, squares);
  }
  const float factor = args.length * inverse_sqrt(warp_sum(squares) + kLengthEpsilon);
  for (int i = lane_id(); any && i < args.dim; i += kWarp) {
    const float v = x[i];
    x[i] = v * factor;
  }
}

MKM_KERNEL(kThreads)
decay_kernel(DecayArgs args) {
  wait_for_previous();
  const int i = element_index();
  if (i >= args.tokens * args.heads) return;
  const float a = global(args.a)[i], rate = global(args.rate)[i % args.heads],
              bias = global(args.bias)[i % args.heads];
  const float x = a + bias;
  global(args.out)[i] = expf(rate * (x > 20.0f ? x : log1pf(expf(x))));
}

// A block a value head of a token, a thread a column of its state.
MKM_KERNEL(kRuleThreads)
delta_rule_kernel(DeltaRuleArgs args) {
  wait_for_previous();
  const int token = static_cast<int>(block_x()), head = static_cast<int>(block_y());
  const int column = static_cast<int>(thread_x());
  const int position = global(args.step.positions)[token];
  if (column >= args.value_dim || position < 0) return;
  const int sequence = global(args.step.sequences)[token];
  const int slot = global(args.step.state_slots)[sequence];
  const int key_head =
      args.tiled_heads ? head % args.key_heads : head / (args.value_heads / args.key_heads);
  const int key_width = args.key_heads * args.key_dim;
  const ptrdiff_t channels = 2 * key_width + args.value_heads * args.value_dim;
  const Ptr<const float> query = global(args.qkv) + token * channels + key_head * args.key_dim;
  const Ptr<const float> key = query + key_width;
  const Ptr<const float> value =
      global(args.qkv) + token * channels + 2 * key_width + head * args.value_dim;
  const ptrdiff_t unit = static_cast<ptrdiff_t>(token) * args.value_heads + head;
  const float decay = global(args.decay)[unit], beta = global(args.beta)[unit];
  const Ptr<float> state =
      global(args.states) +
      (static_cast<ptrdiff_t>(slot) * args.value_heads + head) * args.key_dim * args.value_dim +
      column;
  float seen = 0;
  for (int i = 0; i < args.key_dim && position > 0; ++i) {
    const float s = state[static_cast<ptrdiff_t>(i) * args.value_dim], k = key[i];
    seen = madd(s * decay, k, seen);
  }
  const float v = value[column];
  const float change = beta * (v - seen);
  float out = 0;
  for (int i = 0; i < args.key_dim; ++i) {
    float s = 0;
    if (position > 0) s = state[static_cast<ptrdiff_t>(i) * args.value_dim];
    const float k = key[i], q = query[i];
    s = madd(k, change, s * decay);
    state[static_cast<ptrdiff_t>(i) * args.value_dim] = s;
    out = madd(q, s, out);
  }
  global(args.out)[unit * args.value_dim + column] = out;
}

// A warp a head.
MKM_KERNEL(kThreads)
gated_norm_kernel(GatedNormArgs args) {
  wait_for_previous();
  const int row = static_cast<int>(block_x()) * (kThreads / kWarp) + warp_id();
  const bool any = row < args.rows;
  const ptrdiff_t at = any ? static_cast<ptrdiff_t>(row) * args.dim : 0;
  const Ptr<const float> x = global(args.x) + at, z = global(args.z) + at;
  const Ptr<float> out = global(args.out) + at;
  float squares = 0;
  for (int i = lane_id(); any && i < args.dim; i += kWarp) {
    const float v = x[i];
    squares = madd(v, v, squares);
  }
  const float factor =
      inverse_sqrt(warp_sum(squares) / static_cast<float>(args.dim) + args.epsilon);
  for (int i = lane_id(); any && i < args.dim; i += kWarp) {
    const float v = x[i], w = global(args.weight)[i], gate = z[i];
    out[i] = v * factor * w * silu(gate);
  }
}

unsigned warps_of(int rows) {
  constexpr int kWarps = kThreads / kWarp;
  return static_cast<unsigned>((rows + kWarps - 1) / kWarps);
}

}  // namespace

int conv(const ConvArgs& args, Stream stream) {
  return launch(stream, "conv", conv_kernel,
                {blocks_of(args.channels), static_cast<unsigned>(args.step.tokens)}, kThreads, 0,
                args);
}

int length(const LengthArgs& args, Stream stream) {
  return launch(stream, "length", length_kernel, {warps_of(args.tokens * args.heads)}, kThreads, 0,
                args);
}

int decay(const DecayArgs& args, Stream stream) {
  return launch(stream, "decay", decay_kernel, {blocks_of(args.tokens * args.heads)}, kThreads, 0,
                args);
}

int delta_rule(const DeltaRuleArgs& args, Stream stream) {
  return launch(stream, "delta_rule", delta_rule_kernel,
                {static_cast<unsigned>(args.step.tokens), static_cast<unsigned>(args.value_heads)},
                kRuleThreads, 0, args);
}

int gated_norm(const GatedNormArgs& args, Stream stream) {
  return launch(stream, "gated_norm", gated_norm_kernel, {warps_of(args.rows)}, kThreads, 0, args);
}

}  // namespace mokume::bench::MKM_TARGET
