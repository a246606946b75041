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
int conv_pieces(const DeltaNet& net) {
  return (net.channels() + kConvChannels - 1) / kConvChannels;
}
float softplus(float x) { return x > 20 ? x : std::log1p(std::exp(x)); }

}  // namespace

const DeltaNetWeights& CpuStage::delta_weights(int layer) const {
  return std::get<DeltaNetWeights>(weights_.layers[layer].mixer);
}

void CpuStage::plan_mixer(Program& program, int layer, const DeltaNetWeights& mixer) const {
  multiply(program, {layer,
                     &CpuStage::count_tokens,
                     &CpuStage::fill_mixer_row,
                     {{{&mixer.qkv, &space_.q},
                       {&mixer.z, &space_.gate},
                       {&mixer.a, &space_.k},
                       {&mixer.b, &space_.v}}},
                     4});
  program.add(StageOp(*this, layer, &CpuStage::count_conv_items, 1, &CpuStage::convolve));
  program.add(StageOp(*this, layer, &CpuStage::count_tokens, kRowGrain, &CpuStage::prepare_heads));
  program.add(StageOp(*this, layer, &CpuStage::count_delta_items, 1, &CpuStage::apply_delta_rule));
  plan_mixer_output(program, layer, mixer.o, &CpuStage::fill_delta_row);
}

int CpuStage::count_conv_items(int layer) const {
  return static_cast<int>(step_.sequences.size()) * conv_pieces(*delta_weights(layer).spec);
}

// An item is a piece of the channels of one sequence: space_.q = silu(conv(space_.q))
void CpuStage::convolve(int layer, int thread, int begin, int end) const {
  const DeltaNetWeights& mixer = delta_weights(layer);
  const DeltaNet& net = *mixer.spec;
  const int channels = net.channels(), pieces = conv_pieces(net);
  const size_t matrix = static_cast<size_t>(net.value_width()) * net.key_dim;
  for (int i = begin; i < end; ++i) {
    const SequenceSlice& slice = step_.sequences[i / pieces];
    const int first = i % pieces * kConvChannels, last = std::min(first + kConvChannels, channels);
    float* shared = space_.q + static_cast<size_t>(slice.first_token) * channels;
    float* rows = few_ ? own(thread).out : shared;
    const auto copy_rows = [&](const float* from, float* to) {
      for (size_t t = 0; few_ && t < static_cast<size_t>(slice.token_count); ++t)
        copy_shared(from + t * channels + first, to + t * channels + first, last - first);
    };
    const kernels::ConvArgs args{rows,
                                 static_cast<size_t>(channels),
                                 state(layer, slice.state_slot) + matrix,
                                 mixer.conv,
                                 net.conv_kernel,
                                 channels};
    copy_rows(shared, rows);
    kernels_.conv_silu(args, first, last, slice.token_count);
    copy_rows(rows, shared);
  }
}

// Queries and keys of length 1; space_.k = decay, space_.v = beta of every value head.
void CpuStage::prepare_heads(int layer, int thread, int begin, int end) const {
  const DeltaNetWeights& mixer = delta_weights(layer);
  const DeltaNet& net = *mixer.spec;
  const float query_length = 1 / std::sqrt(static_cast<float>(net.key_dim));
  for (int t = begin; t < end; ++t) {
    const auto token = static_cast<size_t>(t);
    const int qk_width = 2 * net.key_width();
    float* const shared[] = {space_.q + token * net.channels(), space_.k + token * net.value_heads,
                             space_.v + token * net.value_heads};
    float* row = own(thread).out;
    float* heads = few_ ? row : shared[0];
    float* decay = few_ ? row + qk_width : shared[1];
    float* beta = few_ ? row + qk_width + net.value_heads : shared[2];
    if (few_) {
      copy_shared(shared[0], heads, qk_width);
      copy_shared(shared[1], decay, net.value_heads);
      copy_shared(shared[2], beta, net.value_heads);
    }
    for (int h = 0; h < 2 * net.key_heads; ++h) {
      kernels_.scale_to_length(heads + static_cast<size_t>(h) * net.key_dim,
                               h < net.key_heads ? query_length : 1, kLengthEpsilon, net.key_dim);
    }
    for (int h = 0; h < net.value_heads; ++h) {
      decay[h] = std::exp(mixer.decay_rate[h] * softplus(decay[h] + mixer.dt_bias[h]));
      beta[h] = sigmoid(beta[h]);
    }
    if (!few_) continue;
    copy_shared(heads, shared[0], qk_width);
    copy_shared(decay, shared[1], net.value_heads);
    copy_shared(beta, shared[2], net.value_heads);
  }
}

int CpuStage::count_delta_items(int layer) const {
  return static_cast<int>(step_.sequences.size()) * delta_weights(layer).spec->value_heads;
}

// An item is a value head of one sequence: space_.mixed = its outputs, [tokens][value_width]
void CpuStage::apply_delta_rule(int layer, int thread, int begin, int end) const {
  const DeltaNet& net = *delta_weights(layer).spec;
  const auto channels = static_cast<size_t>(net.channels());
  const auto heads = static_cast<size_t>(net.value_heads);
  const auto width = static_cast<size_t>(net.value_width());
  for (int i = begin; i < end; ++i) {
    const int head = i % net.value_heads;
    const int key_head =
        net.tiled_heads ? head % net.key_heads : head / (net.value_heads / net.key_heads);
    const SequenceSlice& slice = step_.sequences[i / net.value_heads];
    const auto token = static_cast<size_t>(slice.first_token);
    const float* rows = space_.q + token * channels;
    float* mixed = space_.mixed + token * width + static_cast<size_t>(head) * net.value_dim;
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
        .out = few_ ? own(thread).out : mixed,
        .out_stride = width,
        .key_dim = net.key_dim,
        .value_dim = net.value_dim};
    kernels_.delta_rule(args, 0, net.value_dim / kernels::kStateBlock, slice.token_count);
    for (size_t t = 0; few_ && t < static_cast<size_t>(slice.token_count); ++t)
      copy_shared(args.out + t * width, mixed + t * width, net.value_dim);
  }
}

void CpuStage::fill_delta_row(int layer, int row, float* out, float* spare) const {
  const DeltaNetWeights& mixer = delta_weights(layer);
  const int width = mixer.spec->value_width();
  const size_t at = static_cast<size_t>(token_of_row(layer, row)) * width;
  copy_row(few_, space_.gate + at, out, width);
  copy_row(few_, space_.mixed + at, spare, width);
  normalize_heads(mixer.norm, spare, mixer.spec->value_heads, mixer.spec->value_dim);
  kernels_.silu_mul(out, spare, width);
}

}  // namespace mokume
