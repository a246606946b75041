#include "device/cpu/layer_weights.h"

#include <algorithm>

#include "device/held_format.h"
#include "model/convert.h"
#include "model/layer_tensors.h"
#include "model/linear.h"

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

// Packs linear layers one behind the other and gives the pages of their source back, which are read
// again where somebody still needs them.
class Packer {
 public:
  Packer(const StageOptions& options, uint8_t* storage, ThreadPool& pool, ProductEngines& engines)
      : model_(*options.model), next_(storage), pool_(pool), engines_(engines) {}

  Status pack(const Linear& linear, WeightFormat format, PackedLinear& target) {
    if (format != WeightFormat::kKeep) return convert(linear, format, target);
    MKM_ASSIGN_OR_RETURN(target, pack_linear(linear, next_, pool_, model_.weights.get(), engines_));
    target.source = &linear;
    next_ += packed_bytes(linear.weight, engines_);
    return absl::OkStatus();
  }

 private:
  Status convert(const Linear& linear, WeightFormat format, PackedLinear& target) {
    const RunRows run = [&](int rows, const std::function<void(int, int)>& body) {
      pool_.run(rows, kRowsAtOnce, body);
    };
    MKM_RETURN_IF_ERROR(check_scales(linear, model_.weights->path()));
    MKM_ASSIGN_OR_RETURN(const ConvertedLinear converted, convert_linear(linear, format, run));
    model_.weights->release(linear.weight);
    if (linear.scales) model_.weights->release(linear.scales);
    MKM_ASSIGN_OR_RETURN(target, pack_linear(converted.linear, next_, pool_, nullptr, engines_));
    next_ += packed_bytes(converted.linear.weight, engines_);
    return absl::OkStatus();
  }

  static constexpr int kRowsAtOnce = 16;

  const Model& model_;
  uint8_t* next_;
  ThreadPool& pool_;
  ProductEngines& engines_;
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

Status load_layer(const StageOptions& options, const LayerSpec& spec, Packer& packer,
                  StageWeights& stage, LayerWeights& layer) {
  layer.mixer_norm = norm_weights(spec.mixer_norm);
  layer.ffn_norm = norm_weights(spec.ffn_norm);
  Linears linears =
      std::visit([&](const auto& mixer) { return prepare_mixer(mixer, stage, layer); }, spec.mixer);
  const auto& ffn = std::get<SwiGlu>(spec.ffn);
  layer.ffn.hidden = ffn.hidden;
  linears.insert(
      linears.end(),
      {{&ffn.gate, &layer.ffn.gate}, {&ffn.up, &layer.ffn.up}, {&ffn.down, &layer.ffn.down}});
  for (const auto& [linear, packed] : linears) {
    MKM_RETURN_IF_ERROR(packer.pack(*linear, held_format(options, spec, *linear), *packed));
  }
  return absl::OkStatus();
}

/// Calls use(linear, format) for every linear layer of the stage, the head too.
template <typename Use>
void for_linears(const StageOptions& options, const Use& use) {
  for (int i = options.first_layer; i < options.last_layer; ++i) {
    const LayerSpec& layer = options.model->spec.layers[i];
    for (const Linear* linear : layer_linears(layer))
      use(*linear, held_format(options, layer, *linear));
  }
  if (options.has_head) use(options.model->spec.head, held_head_format(options));
}

}  // namespace

uint64_t weight_bytes(const StageOptions& options, ProductEngines& engines) {
  uint64_t bytes = 0;
  for_linears(options, [&](const Linear& linear, WeightFormat format) {
    bytes += packed_bytes(converted_weight(linear, format), engines);
  });
  return bytes;
}

uint64_t conversion_bytes(const StageOptions& options) {
  uint64_t most = 0;
  for_linears(options, [&](const Linear& linear, WeightFormat format) {
    if (format != WeightFormat::kKeep) most = std::max(most, converted_bytes(linear, format));
  });
  return most;
}

Result<StageWeights> load_weights(const StageOptions& options, ThreadPool& pool,
                                  ProductEngines& engines) {
  const ModelSpec& spec = options.model->spec;
  const int layers = options.last_layer - options.first_layer;
  StageWeights weights;
  weights.layers.resize(static_cast<size_t>(layers));
  MKM_ASSIGN_OR_RETURN(weights.storage, Buffer::allocate(weight_bytes(options, engines)));
  Packer packer(options, weights.storage.as<uint8_t>(), pool, engines);
  for (int i = 0; i < layers; ++i) {
    MKM_RETURN_IF_ERROR(load_layer(options, spec.layers[options.first_layer + i], packer, weights,
                                   weights.layers[i]));
    if (options.progress) options.progress(i + 1, layers);
  }
  if (options.has_embedding) weights.embedding = &spec.embedding;
  if (options.has_head) {
    const WeightFormat format = held_head_format(options);
    weights.final_norm = norm_weights(spec.final_norm);
    MKM_RETURN_IF_ERROR(packer.pack(spec.head, format, weights.head));
    weights.head_is_embedding = options.has_embedding && format == WeightFormat::kKeep &&
                                spec.head.weight.data == spec.embedding.data &&
                                !weights.head.library && weights.head.matrix.factor == 1;
  }
  return weights;
}

}  // namespace mokume
