// The gated delta net of prompts. Columns of a state do not depend on each other: a warp takes 16
// of them through all of a sequence's tokens, half a column a lane, in registers, so that the
// recurrence needs no barrier and its bits do not depend on how a prompt was cut. Convolution and
// gates come before it, for all tokens at once, norm and gate after it.
#include "kernels/cuda/delta_net.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 128;
constexpr int kHeads = kThreads / kWarp;
constexpr int kLaneElements = kMaxDeltaDim / kWarp;
constexpr int kColumns = 16;  // of a state, that a warp takes through the tokens

/// The scratch: [tokens][channels] after convolution, then [tokens][value_heads] decays and betas.
struct Prepared {
  Ptr<float> channels, decay, beta;

  MKM_DEVICE explicit Prepared(const DeltaNetArgs& args)
      : channels(global(args.scratch)),
        decay(channels + static_cast<ptrdiff_t>(args.step.tokens) * net_channels(args)),
        beta(decay + static_cast<ptrdiff_t>(args.step.tokens) * args.value_heads) {}
};

/// A warp a head of queries, of keys or of values.
MKM_KERNEL(kThreads)
delta_net_conv_kernel(DeltaNetArgs args) {
  wait_for_previous();
  const Prepared out(args);
  const NetToken at = net_token(args.step, static_cast<int>(block_x()));
  const int unit = static_cast<int>(block_y()) * kHeads + warp_id();
  if (unit >= 2 * args.key_heads + args.value_heads || at.position < 0) return;  // the whole warp
  const bool is_value = unit >= 2 * args.key_heads, is_query = unit < args.key_heads;
  const int dim = is_value ? args.value_dim : args.key_dim;
  const int head = is_value ? unit - 2 * args.key_heads : unit;
  const int first = is_value ? 2 * args.key_heads * args.key_dim + head * dim : head * dim;
  float x[kLaneElements];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kLaneElements; ++i) {
    const int d = lane_id() + i * kWarp;
    x[i] = d < dim ? convolve(args, at, first + d) : 0.0f;
    squares = madd(x[i], x[i], squares);
  }
  float factor = inverse_sqrt(warp_sum(squares) + kLengthEpsilon);
  if (is_query) factor *= inverse_sqrt(static_cast<float>(dim));
  if (is_value) factor = 1;
  const ptrdiff_t row = static_cast<ptrdiff_t>(at.token) * net_channels(args) + first;
#pragma unroll
  for (int i = 0; i < kLaneElements; ++i) {
    const int d = lane_id() + i * kWarp;
    if (d < dim) out.channels[row + d] = x[i] * factor;
  }
  if (is_value && lane_id() == 0) {
    const ptrdiff_t gate = static_cast<ptrdiff_t>(at.token) * args.value_heads + head;
    out.decay[gate] = net_decay(args, at.token, head);
    out.beta[gate] = net_beta(args, at.token, head);
  }
}

/// A warp: kColumns columns of one value head of one sequence, the upper half of a column's rows in
/// one lane, the lower in another. Twice kRows is at least key_dim.
template <int kRows>
MKM_KERNEL(kWarp)
delta_net_rule_kernel(DeltaNetArgs args) {
  wait_for_previous();
  MKM_SHARED(float, keys, 2 * 2 * kRows);
  MKM_SHARED(float, queries, 2 * 2 * kRows);
  const int sequence = static_cast<int>(block_x()), head = static_cast<int>(block_y());
  const int column = static_cast<int>(block_z()) * kColumns + lane_id() % kColumns;
  const int first_row = lane_id() / kColumns * kRows;
  const bool has_column = column < args.value_dim;
  const int begin = global(args.step.first_tokens)[sequence];
  const int end = global(args.step.first_tokens)[sequence + 1];
  const Prepared in(args);
  const int channels = net_channels(args), key_width = args.key_heads * args.key_dim;
  const int key_channel = key_head_of(args, head) * args.key_dim;
  const int value_channel = 2 * key_width + head * args.value_dim + column;

  float state[kRows];
  ptrdiff_t state_at = 0;
  if (begin < end) {  // the same for the whole warp, as all that follows
    const NetToken first = net_token(args.step, begin);
    state_at = ((static_cast<ptrdiff_t>(first.slot) * args.value_heads + head) * args.key_dim +
                first_row) *
                   args.value_dim +
               column;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      state[r] = 0;
      if (first_row + r < args.key_dim && has_column && first.position > 0) {
        state[r] = global(args.states)[state_at + static_cast<ptrdiff_t>(r) * args.value_dim];
      }
    }
  }
  for (int token = begin; token < end; ++token) {
    const Ptr<float> row = in.channels + static_cast<ptrdiff_t>(token) * channels;
    const Ptr<float> key = keys + token % 2 * 2 * kRows;  // one is read while the next is written
    const Ptr<float> query = queries + token % 2 * 2 * kRows;
    for (int i = lane_id(); i < 2 * kRows; i += kWarp) {
      float q = 0, k = 0;
      if (i < args.key_dim) {
        q = row[key_channel + i];
        k = row[key_width + key_channel + i];
      }
      query[i] = q;
      key[i] = k;
    }
    const ptrdiff_t gate = static_cast<ptrdiff_t>(token) * args.value_heads + head;
    const float decay = in.decay[gate], beta = in.beta[gate];
    float value = 0;
    if (has_column) value = row[value_channel];
    sync_warp();

    float seen[4] = {};
#pragma unroll
    for (int r = 0; r < kRows; r += 4) {
      const Float4 k = load<Float4>(key + first_row + r);
      seen[0] = madd(k.x, state[r], seen[0]);
      seen[1] = madd(k.y, state[r + 1], seen[1]);
      seen[2] = madd(k.z, state[r + 2], seen[2]);
      seen[3] = madd(k.w, state[r + 3], seen[3]);
    }
    float predicted = (seen[0] + seen[1]) + (seen[2] + seen[3]);
    predicted = decay * (predicted + shuffle_xor(predicted, kColumns));
    const float change = beta * (value - predicted);
    float out[4] = {};
#pragma unroll
    for (int r = 0; r < kRows; r += 4) {
      const Float4 k = load<Float4>(key + first_row + r), q = load<Float4>(query + first_row + r);
      state[r] = madd(k.x, change, decay * state[r]);
      state[r + 1] = madd(k.y, change, decay * state[r + 1]);
      state[r + 2] = madd(k.z, change, decay * state[r + 2]);
      state[r + 3] = madd(k.w, change, decay * state[r + 3]);
      out[0] = madd(q.x, state[r], out[0]);
      out[1] = madd(q.y, state[r + 1], out[1]);
      out[2] = madd(q.z, state[r + 2], out[2]);
      out[3] = madd(q.w, state[r + 3], out[3]);
    }
    float result = (out[0] + out[1]) + (out[2] + out[3]);
    result += shuffle_xor(result, kColumns);
    if (has_column && first_row == 0) {
      global(args.out)[(static_cast<ptrdiff_t>(token) * args.value_heads + head) * args.value_dim +
                       column] = result;
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (first_row + r < args.key_dim && has_column && begin < end) {
      global(args.states)[state_at + static_cast<ptrdiff_t>(r) * args.value_dim] = state[r];
    }
  }
}

/// A warp a value head of a token: norm(out) * silu(z); and the inputs that the next step's
/// convolution looks back at.
MKM_KERNEL(kThreads)
delta_net_gate_kernel(DeltaNetArgs args) {
  wait_for_previous();
  const NetToken at = net_token(args.step, static_cast<int>(block_x()));
  const int head = static_cast<int>(block_y()) * kHeads + warp_id();
  if (head >= args.value_heads) return;  // the whole warp
  const int dim = args.value_dim;
  const ptrdiff_t row = (static_cast<ptrdiff_t>(at.token) * args.value_heads + head) * dim;
  if (at.position < 0) {
    for (int d = lane_id(); d < dim; d += kWarp) global(args.out)[row + d] = 0.0f;
    return;
  }
  const int sequence = global(args.step.sequences)[at.token];
  const int end = global(args.step.first_tokens)[sequence + 1];
  if (end - at.token < args.conv_kernel) {
    const int channels = net_channels(args);
    const Ptr<const float> input = global(args.qkv) + static_cast<ptrdiff_t>(at.token) * channels;
    const Ptr<float> ring = conv_ring(args, at.slot, at.position);
    for (int c = head * kWarp + lane_id(); c < channels; c += args.value_heads * kWarp) {
      const float x = input[c];
      ring[c] = x;
    }
  }
  const Ptr<float> out = global(args.out) + row;
  float squares = 0;
  for (int d = lane_id(); d < dim; d += kWarp) {
    const float x = out[d];
    squares = madd(x, x, squares);
  }
  const float factor = inverse_sqrt(warp_sum(squares) / static_cast<float>(dim) + args.epsilon);
  for (int d = lane_id(); d < dim; d += kWarp) {
    const float x = out[d], w = global(args.norm_weight)[d], z = global(args.z)[row + d];
    out[d] = x * factor * w * silu(z);
  }
}

unsigned heads_grid(int heads) { return static_cast<unsigned>((heads + kHeads - 1) / kHeads); }

}  // namespace

int delta_net_prefill(const DeltaNetArgs& args, Stream stream) {
  if (args.step.tokens == 0) return 0;
  const auto tokens = static_cast<unsigned>(args.step.tokens);
  int status =
      launch(stream, "delta_net_conv", delta_net_conv_kernel,
             {tokens, heads_grid(2 * args.key_heads + args.value_heads)}, kThreads, 0, args);
  if (status != 0) return status;
  const Grid grid = {static_cast<unsigned>(args.step.sequence_count),
                     static_cast<unsigned>(args.value_heads),
                     static_cast<unsigned>((args.value_dim + kColumns - 1) / kColumns)};
  const auto rule = [&](auto kernel) {
    return launch(stream, "delta_net_rule", kernel, grid, kWarp, 0, args);
  };
  status = args.key_dim <= 32   ? rule(delta_net_rule_kernel<16>)
           : args.key_dim <= 64 ? rule(delta_net_rule_kernel<32>)
                                : rule(delta_net_rule_kernel<kMaxDeltaDim / 2>);
  if (status != 0) return status;
  return launch(stream, "delta_net_gate", delta_net_gate_kernel,
                {tokens, heads_grid(args.value_heads)}, kThreads, 0, args);
}

}  // namespace mokume::cuda::MKM_TARGET
