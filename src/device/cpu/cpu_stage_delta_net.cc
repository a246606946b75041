// The gated delta net on the CPU: a recurrence in prompts too. A head's state stays in the cache
// while the tokens of a step pass, so that the recurrence costs a few percent of the layer's
// products, and a token's result does not depend on how its prompt was cut.
#include <cmath>

#include "device/cpu/cpu_stage.h"
#include "device/cpu/rows.h"

namespace mokume {
namespace {

constexpr float kLengthEpsilon = 1e-6f;
constexpr int kConvChannels = 256;  // of a piece of work

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }
float softplus(float x) { return x > 20 ? x : std::log1p(std::exp(x)); }

}  // namespace

void CpuStage::run_mixer(const StageStep& step, int layer, const DeltaNetWeights& mixer,
                         float* hidden) {
  const DeltaNet& net = *mixer.spec;
  const int tokens = static_cast<int>(step.token_ids.size());
  const auto heads = static_cast<size_t>(net.value_heads);
  const auto value_width = static_cast<size_t>(net.value_width());
  multiply({{&mixer.qkv, {space_.q, static_cast<size_t>(net.channels()), false}},
            {&mixer.z, {space_.gate, value_width, false}},
            {&mixer.a, {space_.k, heads, false}},
            {&mixer.b, {space_.v, heads, false}}},
           space_.normed, tokens);
  convolve(step, layer, mixer);
  prepare_heads(tokens, mixer);
  apply_delta_rule(step, layer, mixer);
  // space_.normed holds the heads' outputs
  pool_.run(tokens, kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* out = space_.normed + static_cast<size_t>(t) * value_width;
      normalize_heads(mixer.norm, out, net.value_heads, net.value_dim);
      kernels_.silu_mul(space_.gate + static_cast<size_t>(t) * value_width, out,
                        static_cast<int>(value_width));
    }
  });
  multiply({{&mixer.o, {hidden, static_cast<size_t>(widths_.hidden), true}}}, space_.gate, tokens);
  add_biases(mixer.o, hidden, tokens);
}

// space_.q = silu(conv(space_.q))
void CpuStage::convolve(const StageStep& step, int layer, const DeltaNetWeights& mixer) {
  const DeltaNet& net = *mixer.spec;
  const int channels = net.channels();
  const int pieces = (channels + kConvChannels - 1) / kConvChannels;
  const size_t matrix = static_cast<size_t>(net.value_width()) * net.key_dim;
  pool_.run(static_cast<int>(step.sequences.size()) * pieces, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const SequenceSlice& slice = step.sequences[i / pieces];
      const int first = i % pieces * kConvChannels;
      const kernels::ConvArgs args{space_.q + static_cast<size_t>(slice.first_token) * channels,
                                   static_cast<size_t>(channels),
                                   state(layer, slice.state_slot) + matrix,
                                   mixer.conv,
                                   net.conv_kernel,
                                   channels};
      kernels_.conv_silu(args, first, std::min(first + kConvChannels, channels), slice.token_count);
    }
  });
}

// Queries and keys of length 1; space_.k = decay, space_.v = beta of every value head.
void CpuStage::prepare_heads(int tokens, const DeltaNetWeights& mixer) {
  const DeltaNet& net = *mixer.spec;
  const float query_length = 1 / std::sqrt(static_cast<float>(net.key_dim));
  pool_.run(tokens, kRowGrain, [&](int begin, int end) {
    for (int t = begin; t < end; ++t) {
      float* heads = space_.q + static_cast<size_t>(t) * net.channels();
      for (int h = 0; h < 2 * net.key_heads; ++h) {
        kernels_.scale_to_length(heads + static_cast<size_t>(h) * net.key_dim,
                                 h < net.key_heads ? query_length : 1, kLengthEpsilon, net.key_dim);
      }
      float* decay = space_.k + static_cast<size_t>(t) * net.value_heads;
      float* beta = space_.v + static_cast<size_t>(t) * net.value_heads;
      for (int h = 0; h < net.value_heads; ++h) {
        decay[h] = std::exp(mixer.decay_rate[h] * softplus(decay[h] + mixer.dt_bias[h]));
        beta[h] = sigmoid(beta[h]);
      }
    }
  });
}

// space_.normed = outputs of the value heads, [tokens][value_width]
void CpuStage::apply_delta_rule(const StageStep& step, int layer, const DeltaNetWeights& mixer) {
  const DeltaNet& net = *mixer.spec;
  const auto channels = static_cast<size_t>(net.channels());
  const auto heads = static_cast<size_t>(net.value_heads);
  const auto width = static_cast<size_t>(net.value_width());
  const int blocks = net.value_dim / kernels::kStateBlock;
  const int items = static_cast<int>(step.sequences.size()) * net.value_heads;
  pool_.run(items, 1, [&](int begin, int end) {
    for (int i = begin; i < end; ++i) {
      const int head = i % net.value_heads;
      const int key_head =
          net.tiled_heads ? head % net.key_heads : head / (net.value_heads / net.key_heads);
      const SequenceSlice& slice = step.sequences[i / net.value_heads];
      const auto token = static_cast<size_t>(slice.first_token);
      const float* rows = space_.q + token * channels;
      const kernels::DeltaRuleArgs args{
          .state = state(layer, slice.state_slot) +
                   static_cast<size_t>(head) * net.key_dim * net.value_dim,
          .query = rows + static_cast<size_t>(key_head) * net.key_dim,
          .key = rows + net.key_width() + static_cast<size_t>(key_head) * net.key_dim,
          .value = rows + 2 * static_cast<size_t>(net.key_width()) +
                   static_cast<size_t>(head) * net.value_dim,
          .stride = channels,
          .decay = space_.k + token * heads + head,
          .beta = space_.v + token * heads + head,
          .gate_stride = heads,
          .out = space_.normed + token * width + static_cast<size_t>(head) * net.value_dim,
          .out_stride = width,
          .key_dim = net.key_dim,
          .value_dim = net.value_dim};
      kernels_.delta_rule(args, 0, blocks, slice.token_count);
    }
  });
}

}  // namespace mokume
