#include "device/cpu/layer_weights.h"

#include <algorithm>

namespace mokume {
namespace {

NormWeights norm_weights(const RmsNorm& norm) {
  return {reinterpret_cast<const float*>(norm.weight.data), norm.epsilon};
}

bool same_rope(const Rope& a, const Rope& b) {
  return a.dims == b.dims && a.interleaved == b.interleaved && a.magnitude == b.magnitude &&
         a.inverse_frequencies == b.inverse_frequencies;
}

int rope_table(const Rope& rope, std::vector<const Rope*>& ropes) {
  const auto known =
      std::find_if(ropes.begin(), ropes.end(), [&](const Rope* r) { return same_rope(*r, rope); });
  if (known != ropes.end()) return static_cast<int>(known - ropes.begin());
  ropes.push_back(&rope);
  return static_cast<int>(ropes.size()) - 1;
}

// Packs linear layers one behind the other and gives the pages of their source back.
class Packer {
 public:
  Packer(const StageOptions& options, uint8_t* storage, ThreadPool& pool)
      : model_(*options.model), next_(storage), pool_(pool) {}

  Status pack(const Linear& linear, PackedLinear& target) {
    MKM_ASSIGN_OR_RETURN(target, pack_linear(linear, next_, pool_));
    next_ += packed_bytes(linear.weight);
    const bool still_read = linear.weight.data == model_.spec.embedding.data;
    if (!still_read) model_.weights->release(linear.weight);
    return absl::OkStatus();
  }

 private:
  const Model& model_;
  uint8_t* next_;
  ThreadPool& pool_;
};

Status load_layer(const LayerSpec& spec, Packer& packer, std::vector<const Rope*>& ropes,
                  LayerWeights& layer) {
  const auto& attention = std::get<Attention>(spec.mixer);
  const auto& ffn = std::get<SwiGlu>(spec.ffn);
  layer.mixer_norm = norm_weights(spec.mixer_norm);
  layer.ffn_norm = norm_weights(spec.ffn_norm);
  layer.attention.spec = &attention;
  if (attention.q_norm) layer.attention.q_norm = norm_weights(*attention.q_norm);
  if (attention.k_norm) layer.attention.k_norm = norm_weights(*attention.k_norm);
  layer.attention.rope_table = rope_table(attention.rope, ropes);
  layer.ffn.hidden = ffn.hidden;
  const std::pair<const Linear*, PackedLinear*> linears[] = {
      {&attention.q, &layer.attention.q}, {&attention.k, &layer.attention.k},
      {&attention.v, &layer.attention.v}, {&attention.o, &layer.attention.o},
      {&ffn.gate, &layer.ffn.gate},       {&ffn.up, &layer.ffn.up},
      {&ffn.down, &layer.ffn.down}};
  for (const auto& [linear, packed] : linears) MKM_RETURN_IF_ERROR(packer.pack(*linear, *packed));
  return absl::OkStatus();
}

}  // namespace

uint64_t weight_bytes(const StageOptions& options) {
  const ModelSpec& spec = options.model->spec;
  uint64_t bytes = options.has_head ? packed_bytes(spec.head.weight) : 0;
  for (int i = options.first_layer; i < options.last_layer; ++i) {
    const auto& a = std::get<Attention>(spec.layers[i].mixer);
    const auto& f = std::get<SwiGlu>(spec.layers[i].ffn);
    for (const Linear* linear : {&a.q, &a.k, &a.v, &a.o, &f.gate, &f.up, &f.down})
      bytes += packed_bytes(linear->weight);
  }
  return bytes;
}

Result<StageWeights> load_weights(const StageOptions& options, ThreadPool& pool) {
  const ModelSpec& spec = options.model->spec;
  const int layers = options.last_layer - options.first_layer;
  StageWeights weights;
  weights.layers.resize(static_cast<size_t>(layers));
  MKM_ASSIGN_OR_RETURN(weights.storage, Buffer::allocate(weight_bytes(options)));
  Packer packer(options, weights.storage.as<uint8_t>(), pool);
  for (int i = 0; i < layers; ++i) {
    MKM_RETURN_IF_ERROR(
        load_layer(spec.layers[options.first_layer + i], packer, weights.ropes, weights.layers[i]));
    if (options.progress) options.progress(i + 1, layers);
  }
  if (options.has_embedding) weights.embedding = &spec.embedding;
  if (options.has_head) {
    weights.final_norm = norm_weights(spec.final_norm);
    MKM_RETURN_IF_ERROR(packer.pack(spec.head, weights.head));
  }
  return weights;
}

}  // namespace mokume
