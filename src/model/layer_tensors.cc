#include "model/layer_tensors.h"

#include <initializer_list>
#include <utility>

namespace mokume {
namespace {

struct Collector {
  std::vector<TensorView> tensors;

  void add(const TensorView& tensor) {
    if (tensor) tensors.push_back(tensor);
  }
  void add(std::initializer_list<const Linear*> linears) {
    for (const Linear* linear : linears) {
      add(linear->weight);
      add(linear->scales);
      add(linear->bias);
    }
  }
  void operator()(const Attention& attention) {
    add({&attention.q, &attention.k, &attention.v, &attention.o});
    if (attention.q_norm) add(attention.q_norm->weight);
    if (attention.k_norm) add(attention.k_norm->weight);
  }
  void operator()(const DeltaNet& net) {
    add({&net.qkv, &net.z, &net.a, &net.b, &net.o});
    for (const TensorView* tensor : {&net.conv, &net.decay_rate, &net.dt_bias}) add(*tensor);
    add(net.norm.weight);
  }
  void operator()(const SwiGlu& ffn) { add({&ffn.gate, &ffn.up, &ffn.down}); }
};

struct KvElements {
  int64_t operator()(const Attention& attention) const {
    return int64_t{2} * attention.kv_heads * attention.head_dim;
  }
  int64_t operator()(const DeltaNet&) const { return 0; }
};

std::vector<const Linear*> linears_of(const Attention& a) { return {&a.q, &a.k, &a.v, &a.o}; }
std::vector<const Linear*> linears_of(const DeltaNet& d) {
  return {&d.qkv, &d.z, &d.a, &d.b, &d.o};
}

}  // namespace

std::vector<const Linear*> layer_linears(const LayerSpec& layer) {
  auto linears = std::visit([](const auto& mixer) { return linears_of(mixer); }, layer.mixer);
  const auto& ffn = std::get<SwiGlu>(layer.ffn);
  linears.insert(linears.end(), {&ffn.gate, &ffn.up, &ffn.down});
  return linears;
}

std::vector<TensorView> layer_tensors(const LayerSpec& layer) {
  Collector collector;
  collector.add(layer.mixer_norm.weight);
  std::visit([&](const auto& mixer) { collector(mixer); }, layer.mixer);
  collector.add(layer.ffn_norm.weight);
  std::visit([&](const auto& ffn) { collector(ffn); }, layer.ffn);
  return std::move(collector.tensors);
}

uint64_t layer_weight_bytes(const LayerSpec& layer) {
  uint64_t bytes = 0;
  for (const TensorView& tensor : layer_tensors(layer)) bytes += tensor.bytes;
  return bytes;
}

int64_t layer_kv_elements(const LayerSpec& layer) { return std::visit(KvElements{}, layer.mixer); }

}  // namespace mokume
