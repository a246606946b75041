// The layers of a CUDA stage as launches.
#include <algorithm>

#include "device/cuda/cuda_stage.h"

namespace mokume::cuda {

void CudaStage::put_layer(Launches& go, const View& view, const LayerWeights& layer) {
  std::visit([&](const auto& mixer) { put_mixer(go, view, layer, mixer); }, layer.mixer);
  put_ffn(go, view, layer);
}

// hidden += o(attention(q, k, v of norm(hidden)))
void CudaStage::put_mixer(Launches& go, const View& view, const LayerWeights& layer,
                          const AttentionWeights& mixer) {
  const Attention& spec = *mixer.spec;
  put_products(go, view, {{&mixer.q, space_.q}, {&mixer.k, space_.k}, {&mixer.v, space_.v}},
               space_.hidden, &layer.mixer_norm, false);
  RopeAppendArgs rope;
  rope.q = space_.q;
  rope.k = space_.k;
  rope.v = space_.v;
  rope.q_out = spec.output_gate ? space_.queries : space_.q;
  rope.gate = spec.output_gate ? space_.gate : nullptr;
  rope.q_norm = mixer.q_norm.weight;
  rope.k_norm = mixer.k_norm.weight;
  rope.q_epsilon = mixer.q_norm.epsilon;
  rope.k_epsilon = mixer.k_norm.epsilon;
  rope.inverse_frequencies = mixer.inverse_frequencies;
  rope.magnitude = spec.rope.magnitude;
  rope.rope_dims = spec.rope.dims;
  rope.interleaved = spec.rope.interleaved;
  rope.heads = spec.heads;
  rope.kv = mixer.kv;
  rope.step = view.step;
  go("rope_append", go.kernels().rope_append, rope);

  AttentionArgs attention;
  attention.q = rope.q_out;
  attention.gate = rope.gate;
  attention.out = space_.mixed;
  attention.heads = spec.heads;
  attention.scale = spec.scale;
  attention.kv = mixer.kv;
  attention.step = view.step;
  attention.scratch = space_.scratch;
  attention.max_positions = view.size.positions;
  if (view.decode) {
    go("attention_decode", go.kernels().attention_decode, attention);
  } else {
    go("attention_prefill", go.kernels().attention_prefill, attention);
  }
  put_products(go, view, {{&mixer.o, space_.hidden}}, space_.mixed, nullptr, true);
}

// hidden += o(delta rule of norm(hidden))
void CudaStage::put_mixer(Launches& go, const View& view, const LayerWeights& layer,
                          const DeltaNetWeights& mixer) {
  const DeltaNet& spec = *mixer.spec;
  put_products(
      go, view,
      {{&mixer.qkv, space_.q}, {&mixer.z, space_.gate}, {&mixer.a, space_.k}, {&mixer.b, space_.v}},
      space_.hidden, &layer.mixer_norm, false);
  DeltaNetArgs net;
  net.qkv = space_.q;
  net.z = space_.gate;
  net.a = space_.k;
  net.b = space_.v;
  net.conv = mixer.conv;
  net.decay_rate = mixer.decay_rate;
  net.dt_bias = mixer.dt_bias;
  net.norm_weight = mixer.norm.weight;
  net.epsilon = mixer.norm.epsilon;
  net.states = mixer.states;
  net.conv_states = mixer.conv_states;
  net.out = space_.mixed;
  net.scratch = space_.scratch;
  net.key_heads = spec.key_heads;
  net.value_heads = spec.value_heads;
  net.key_dim = spec.key_dim;
  net.value_dim = spec.value_dim;
  net.conv_kernel = spec.conv_kernel;
  net.tiled_heads = spec.tiled_heads;
  net.step = view.step;
  // The two round differently; an exact stage always takes the same.
  if (view.one_token_each && !options_.exact) {
    go("delta_net_decode", go.kernels().delta_net_decode, net);
  } else {
    go("delta_net_prefill", go.kernels().delta_net_prefill, net);
  }
  put_products(go, view, {{&mixer.o, space_.hidden}}, space_.mixed, nullptr, true);
}

// hidden += down(silu(gate(norm(hidden))) * up(norm(hidden)))
void CudaStage::put_ffn(Launches& go, const View& view, const LayerWeights& layer) {
  const SwiGluWeights& ffn = layer.ffn;
  if (view.decode && ffn.gate.format == ffn.up.format) {
    GateUpArgs args;
    args.gate = ffn.gate;
    args.up = ffn.up;
    args.x = space_.hidden;
    args.norm_weight = layer.ffn_norm.weight;
    args.epsilon = layer.ffn_norm.epsilon;
    args.out = space_.mixed;
    args.tokens = view.size.tokens;
    args.inputs = inputs();
    go("gate_up", go.kernels().gate_up, args);
  } else {
    put_products(go, view, {{&ffn.gate, space_.gate}, {&ffn.up, space_.up}}, space_.hidden,
                 &layer.ffn_norm, false);
    if (!view.decode) {
      PromptInput input = prompt_input(view, space_.mixed, nullptr);
      input.gate = space_.gate;
      input.up = space_.up;
      return prompts_.put(go, {{&ffn.down, space_.hidden}}, input, true);
    }
    SiluMulArgs args;
    args.gate = space_.gate;
    args.up = space_.up;
    args.out = space_.mixed;
    args.tokens = view.size.tokens;
    args.width = ffn.hidden;
    go("silu_mul", go.kernels().silu_mul, args);
  }
  put_products(go, view, {{&ffn.down, space_.hidden}}, space_.mixed, nullptr, true);
}

void CudaStage::put_products(Launches& go, const View& view,
                             std::initializer_list<MatrixProduct> products, float* x,
                             const NormWeights* norm, bool accumulate) {
  if (view.decode) return put_matvecs(go, products, x, norm, view.size.tokens, accumulate);
  prompts_.put(go, products, prompt_input(view, x, norm), accumulate);
}

PromptInput CudaStage::prompt_input(const View& view, float* x, const NormWeights* norm) const {
  PromptInput input;
  input.x = x;
  input.norm = norm;
  input.normed = space_.normed;
  input.tokens = view.size.tokens;
  return input;
}

// Those of one format go together.
void CudaStage::put_matvecs(Launches& go, std::initializer_list<MatrixProduct> products,
                            const float* x, const NormWeights* norm, int tokens, bool accumulate) {
  for (int f = 0; f < kFormats; ++f) {
    MatvecArgs args;
    for (const MatrixProduct& product : products) {
      if (static_cast<int>(product.matrix->format) != f) continue;
      args.matrices[args.count] = *product.matrix;
      args.outs[args.count++] = product.out;
    }
    if (args.count == 0) continue;
    args.x = x;
    if (norm) {
      args.norm_weight = norm->weight;
      args.epsilon = norm->epsilon;
    }
    args.tokens = tokens;
    args.accumulate = accumulate;
    args.inputs = inputs();
    go("matvec", go.kernels().matvec, args);
  }
}

}  // namespace mokume::cuda
