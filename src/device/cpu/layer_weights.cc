#include "device/cpu/layer_weights.h"

#include <algorithm>

namespace mokume {
namespace {

const float* floats(const TensorView& tensor) {
  return reinterpret_cast<const float*>(tensor.data);
}

NormWeights norm_weights(const RmsNorm& norm) { return {floats(norm.weight), norm.epsilon}; }

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
    const bool still_read = linear.weight.data == model_.spec.embedding.data;
    const WeightSource* source = still_read ? nullptr : model_.weights.get();
    MKM_ASSIGN_OR_RETURN(target, pack_linear(linear, next_, pool_, source));
    next_ += packed_bytes(linear.weight);
    return absl::OkStatus();
  }

 private:
  const Model& model_;
  uint8_t* next_;
  ThreadPool& pool_;
};

/// [channels][kernel] to [kernel][channels].
std::vector<float> transposed_conv(const DeltaNet& net) {
  const auto channels = static_cast<size_t>(net.channels());
  const auto kernel = static_cast<size_t>(net.conv_kernel);
  std::vector<float> conv(channels * kernel);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t j = 0; j < kernel; ++j) conv[j * channels + c] = floats(net.conv)[c * kernel + j];
  }
  return conv;
}

/// A mixer's or ffn's linear layers, in the order in which they are packed.
using Linears = std::vector<std::pair<const Linear*, PackedLinear*>>;

Linears prepare_mixer(const Attention& spec, StageWeights& stage, LayerWeights& layer) {
  AttentionWeights& weights = layer.mixer.emplace<AttentionWeights>();
  weights.spec = &spec;
  if (spec.q_norm) weights.q_norm = norm_weights(*spec.q_norm);
  if (spec.k_norm) weights.k_norm = norm_weights(*spec.k_norm);
  weights.rope_table = rope_table(spec.rope, stage.ropes);
  return {
      {&spec.q, &weights.q}, {&spec.k, &weights.k}, {&spec.v, &weights.v}, {&spec.o, &weights.o}};
}

Linears prepare_mixer(const DeltaNet& spec, StageWeights& stage, LayerWeights& layer) {
  DeltaNetWeights& weights = layer.mixer.emplace<DeltaNetWeights>();
  weights.spec = &spec;
  stage.convs.push_back(transposed_conv(spec));
  weights.conv = stage.convs.back().data();
  weights.decay_rate = floats(spec.decay_rate);
  weights.dt_bias = floats(spec.dt_bias);
  weights.norm = norm_weights(spec.norm);
  return {{&spec.qkv, &weights.qkv},
          {&spec.z, &weights.z},
          {&spec.a, &weights.a},
          {&spec.b, &weights.b},
          {&spec.o, &weights.o}};
}

Status load_layer(const LayerSpec& spec, Packer& packer, StageWeights& stage, LayerWeights& layer) {
  layer.mixer_norm = norm_weights(spec.mixer_norm);
  layer.ffn_norm = norm_weights(spec.ffn_norm);
  Linears linears =
      std::visit([&](const auto& mixer) { return prepare_mixer(mixer, stage, layer); }, spec.mixer);
  const auto& ffn = std::get<SwiGlu>(spec.ffn);
  layer.ffn.hidden = ffn.hidden;
  linears.insert(
      linears.end(),
      {{&ffn.gate, &layer.ffn.gate}, {&ffn.up, &layer.ffn.up}, {&ffn.down, &layer.ffn.down}});
  for (const auto& [linear, packed] : linears) MKM_RETURN_IF_ERROR(packer.pack(*linear, *packed));
  return absl::OkStatus();
}

std::vector<const Linear*> linears_of(const Attention& a) { return {&a.q, &a.k, &a.v, &a.o}; }
std::vector<const Linear*> linears_of(const DeltaNet& d) {
  return {&d.qkv, &d.z, &d.a, &d.b, &d.o};
}

}  // namespace

uint64_t weight_bytes(const StageOptions& options) {
  const ModelSpec& spec = options.model->spec;
  uint64_t bytes = options.has_head ? packed_bytes(spec.head.weight) : 0;
  for (int i = options.first_layer; i < options.last_layer; ++i) {
    const auto& ffn = std::get<SwiGlu>(spec.layers[i].ffn);
    auto linears =
        std::visit([](const auto& mixer) { return linears_of(mixer); }, spec.layers[i].mixer);
    linears.insert(linears.end(), {&ffn.gate, &ffn.up, &ffn.down});
    for (const Linear* linear : linears) bytes += packed_bytes(linear->weight);
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
        load_layer(spec.layers[options.first_layer + i], packer, weights, weights.layers[i]));
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
