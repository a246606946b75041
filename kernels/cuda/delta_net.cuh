// What the delta nets of one token and of prompts share.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace mokume::cuda::MKM_TARGET {

inline constexpr float kLengthEpsilon = 1e-6f;

/// A token in its sequence.
struct NetToken {
  int token;     ///< in the step
  int index;     ///< in its sequence's part of the step
  int position;  ///< in its sequence; -1: padded
  int slot;
};

MKM_DEVICE NetToken net_token(const StepView& step, int token) {
  NetToken out = {token, 0, 0, 0};
  out.position = global(step.positions)[token];
  if (out.position < 0) return out;
  const int sequence = global(step.sequences)[token];
  const int first = global(step.first_tokens)[sequence];
  out.index = token - first;
  out.slot = global(step.state_slots)[sequence];
  return out;
}

MKM_DEVICE int net_channels(const DeltaNetArgs& args) {
  return 2 * args.key_heads * args.key_dim + args.value_heads * args.value_dim;
}
MKM_DEVICE int key_head_of(const DeltaNetArgs& args, int head) {
  return args.tiled_heads ? head % args.key_heads : head / (args.value_heads / args.key_heads);
}

/// The inputs before a step's first token, by position: ring[position % conv_kernel][channels].
MKM_DEVICE Ptr<float> conv_ring(const DeltaNetArgs& args, int slot, int position) {
  const ptrdiff_t row =
      static_cast<ptrdiff_t>(slot) * args.conv_kernel + position % args.conv_kernel;
  return global(args.conv_states) + row * net_channels(args);
}

/// silu of one channel's convolution.
MKM_DEVICE float convolve(const DeltaNetArgs& args, const NetToken& at, int channel) {
  const int channels = net_channels(args);
  const Ptr<const float> weight = global(args.conv) + channel;
  const Ptr<const float> input =
      global(args.qkv) + static_cast<ptrdiff_t>(at.token) * channels + channel;
  float total = 0;
  for (int tap = 0; tap < args.conv_kernel; ++tap) {  // the oldest input first
    const int back = args.conv_kernel - 1 - tap;
    if (at.position < back) continue;
    float x;
    if (back <= at.index) {
      x = input[-static_cast<ptrdiff_t>(back) * channels];
    } else {
      x = conv_ring(args, at.slot, at.position - back)[channel];
    }
    const float w = weight[static_cast<ptrdiff_t>(tap) * channels];
    total = madd(w, x, total);
  }
  return silu(total);
}

MKM_DEVICE float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); }

/// What a head's state keeps of itself, and how far it goes towards the new value.
MKM_DEVICE float net_decay(const DeltaNetArgs& args, int token, int head) {
  const ptrdiff_t at = static_cast<ptrdiff_t>(token) * args.value_heads + head;
  const float a = global(args.a)[at], rate = global(args.decay_rate)[head],
              bias = global(args.dt_bias)[head];
  return expf(rate * softplus(a + bias));
}
MKM_DEVICE float net_beta(const DeltaNetArgs& args, int token, int head) {
  const float b = global(args.b)[static_cast<ptrdiff_t>(token) * args.value_heads + head];
  return sigmoid(b);
}

}  // namespace mokume::cuda::MKM_TARGET
