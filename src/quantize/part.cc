#include "quantize/part.h"

namespace mokume {
namespace {

class Collector {
 public:
  std::vector<Part> parts;

  void matrix(Role role, const Linear& linear) {
    Part part = next(role);
    part.linear = linear;
    parts.push_back(std::move(part));
  }
  void vector(Role role, const TensorView& view) {
    Part part = next(role);
    part.vector = view;
    parts.push_back(std::move(part));
  }
  void layer(int index, const LayerSpec& spec) {
    layer_ = index;
    spec_ = &spec;
    vector(Role::kMixerNorm, spec.mixer_norm.weight);
    std::visit([&](const auto& mixer) { add(mixer); }, spec.mixer);
    vector(Role::kFfnNorm, spec.ffn_norm.weight);
    std::visit([&](const auto& ffn) { add(ffn); }, spec.ffn);
    layer_ = -1;
    spec_ = nullptr;
  }

 private:
  Part next(Role role) const {
    Part part;
    part.role = role;
    part.layer = layer_;
    part.spec = spec_;
    return part;
  }
  void add(const Attention& attention) {
    matrix(Role::kQ, attention.q);
    matrix(Role::kK, attention.k);
    matrix(Role::kV, attention.v);
    matrix(Role::kO, attention.o);
    if (attention.q_norm) vector(Role::kQNorm, attention.q_norm->weight);
    if (attention.k_norm) vector(Role::kKNorm, attention.k_norm->weight);
  }
  void add(const DeltaNet& net) {
    matrix(Role::kDeltaQkv, net.qkv);
    matrix(Role::kDeltaZ, net.z);
    matrix(Role::kDeltaA, net.a);
    matrix(Role::kDeltaB, net.b);
    matrix(Role::kDeltaO, net.o);
    vector(Role::kDeltaConv, net.conv);
    vector(Role::kDeltaDecay, net.decay_rate);
    vector(Role::kDeltaDtBias, net.dt_bias);
    vector(Role::kDeltaNorm, net.norm.weight);
  }
  void add(const SwiGlu& ffn) {
    matrix(Role::kGate, ffn.gate);
    matrix(Role::kUp, ffn.up);
    matrix(Role::kDown, ffn.down);
  }

  int layer_ = -1;
  const LayerSpec* spec_ = nullptr;
};

}  // namespace

bool is_projection(Role role) {
  switch (role) {
    case Role::kQ:
    case Role::kK:
    case Role::kV:
    case Role::kO:
    case Role::kDeltaQkv:
    case Role::kDeltaZ:
    case Role::kDeltaO:
    case Role::kGate:
    case Role::kUp:
    case Role::kDown:
      return true;
    default:
      return false;
  }
}

std::vector<Part> parts_of(const ModelSpec& spec) {
  Collector collector;
  Linear embedding;
  embedding.weight = spec.embedding;
  collector.matrix(Role::kEmbedding, embedding);
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    collector.layer(static_cast<int>(i), spec.layers[i]);
  }
  collector.vector(Role::kFinalNorm, spec.final_norm.weight);
  if (!spec.tied_head) collector.matrix(Role::kHead, spec.head);
  return std::move(collector.parts);
}

}  // namespace mokume
