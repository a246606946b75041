#include "device/cuda/weights.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "device/held_format.h"
#include "model/convert.h"

namespace mokume::cuda {
namespace {

/// [channels][kernel] to [kernel][channels].
std::vector<float> transposed_conv(const DeltaNet& net) {
  const auto channels = static_cast<size_t>(net.channels());
  const auto kernel = static_cast<size_t>(net.conv_kernel);
  std::vector<float> from(channels * kernel), conv(channels * kernel);
  std::memcpy(from.data(), net.conv.data, from.size() * sizeof(float));
  for (size_t c = 0; c < channels; ++c) {
    for (size_t j = 0; j < kernel; ++j) conv[j * channels + c] = from[c * kernel + j];
  }
  return conv;
}

Element element_of(KvType type) {
  switch (type) {
    case KvType::kF32:
      return Element::kF32;
    case KvType::kBF16:
      return Element::kBF16;
    case KvType::kInt8:
      return Element::kInt8;
    case KvType::kF8:
      return Element::kF8;
    default:
      return Element::kF16;
  }
}

/// Gives every tensor its place, and notes what is to be copied there.
class Placer {
 public:
  Placer(const StageOptions& options, Carver& carver, StageWeights& weights)
      : options_(options), carver_(carver), weights_(weights) {}

  Status place_layer(const LayerSpec& spec, LayerWeights& layer) {
    weights_.copies.emplace_back();
    layer_ = &spec;
    layer.mixer_norm = norm(spec.mixer_norm);
    layer.ffn_norm = norm(spec.ffn_norm);
    MKM_RETURN_IF_ERROR(
        std::visit([&](const auto& mixer) { return place_mixer(mixer, layer); }, spec.mixer));
    const auto& ffn = std::get<SwiGlu>(spec.ffn);
    layer.ffn.hidden = ffn.hidden;
    return linears(
        {{&ffn.gate, &layer.ffn.gate}, {&ffn.up, &layer.ffn.up}, {&ffn.down, &layer.ffn.down}});
  }

  Status place_ends() {
    weights_.copies.emplace_back();
    const ModelSpec& spec = options_.model->spec;
    if (options_.has_embedding) {
      weights_.embedding_linear.weight = spec.embedding;
      MKM_RETURN_IF_ERROR(
          matrix(weights_.embedding_linear, WeightFormat::kKeep, weights_.embedding));
    }
    if (!options_.has_head) return absl::OkStatus();
    weights_.final_norm = norm(spec.final_norm);
    const WeightFormat held = held_head_format(options_);
    const bool same = options_.has_embedding && spec.head.weight.data == spec.embedding.data;
    if (same && held == WeightFormat::kKeep && !spec.head.bias) {
      weights_.head = weights_.embedding;
      return absl::OkStatus();
    }
    return matrix(spec.head, held, weights_.head);
  }

 private:
  using Pairs = std::initializer_list<std::pair<const Linear*, Matrix*>>;

  Status place_mixer(const Attention& spec, LayerWeights& layer) {
    AttentionWeights& weights = layer.mixer.emplace<AttentionWeights>();
    weights.spec = &spec;
    if (spec.q_norm) weights.q_norm = norm(*spec.q_norm);
    if (spec.k_norm) weights.k_norm = norm(*spec.k_norm);
    const std::vector<float>& frequencies = spec.rope.inverse_frequencies;
    weights.inverse_frequencies =
        floats(reinterpret_cast<const std::byte*>(frequencies.data()), frequencies.size());
    KvCache& kv = weights.kv;
    const KvType type = options_.kv_type(kGpuKvType);
    kv.element = element_of(type);
    kv.page_tokens = options_.page_tokens;
    kv.kv_heads = spec.kv_heads;
    kv.head_dim = spec.head_dim;
    const auto times = [](uint64_t bytes, int factor) {
      return checked_mul(bytes, static_cast<uint64_t>(factor)).value_or(uint64_t{1} << 62);
    };
    uint64_t rows = 1;  // a head of a position each
    for (int factor : {options_.kv_pages, options_.page_tokens, spec.kv_heads})
      rows = times(rows, factor);
    const uint64_t bytes = times(times(rows, spec.head_dim), int(element_bytes(kv.element)));
    kv.keys = carver_.take<std::byte>(bytes);
    kv.values = carver_.take<std::byte>(bytes);
    weights_.kv_bytes += 2 * bytes;
    if (has_scales(type)) {
      kv.key_scales = carver_.take<float>(rows);
      kv.value_scales = carver_.take<float>(rows);
      weights_.kv_bytes += 2 * times(rows, sizeof(float));
    }
    return linears({{&spec.q, &weights.q},
                    {&spec.k, &weights.k},
                    {&spec.v, &weights.v},
                    {&spec.o, &weights.o}});
  }

  Status place_mixer(const DeltaNet& spec, LayerWeights& layer) {
    DeltaNetWeights& weights = layer.mixer.emplace<DeltaNetWeights>();
    weights.spec = &spec;
    const std::vector<float>& conv = weights_.convs.emplace_back(transposed_conv(spec));
    weights.conv = floats(reinterpret_cast<const std::byte*>(conv.data()), conv.size());
    weights.decay_rate = floats(spec.decay_rate);
    weights.dt_bias = floats(spec.dt_bias);
    weights.norm = norm(spec.norm);
    const auto slots = static_cast<uint64_t>(options_.state_slots);
    weights.states = carver_.take<float>(slots * matrix_state_floats(spec));
    weights.conv_states = carver_.take<float>(slots * conv_state_floats(spec));
    weights_.state_bytes +=
        slots * (matrix_state_floats(spec) + conv_state_floats(spec)) * sizeof(float);
    return linears({{&spec.qkv, &weights.qkv},
                    {&spec.z, &weights.z},
                    {&spec.a, &weights.a},
                    {&spec.b, &weights.b},
                    {&spec.o, &weights.o}});
  }

  Status linears(Pairs pairs) {
    for (const auto& [linear, target] : pairs) {
      MKM_RETURN_IF_ERROR(matrix(*linear, held_format(options_, *layer_, *linear), *target));
    }
    return absl::OkStatus();
  }

  Status matrix(const Linear& linear, WeightFormat held, Matrix& matrix) {
    MKM_ASSIGN_OR_RETURN(const Format format,
                         device_format(converted_weight(linear, held), options_.exact));
    matrix = matrix_of(linear, format);
    const RowBytes row = row_bytes(format, matrix.columns);
    const auto rows = static_cast<uint64_t>(matrix.rows);
    matrix.data = carver_.take<std::byte>(rows * row.data);
    if (row.scales > 0) matrix.scales = carver_.take<std::byte>(rows * row.scales);
    if (row.minimums > 0) matrix.minimums = carver_.take<std::byte>(rows * row.minimums);
    if (linear.bias) matrix.bias = floats(linear.bias);
    weights_.weight_bytes += rows * row.all();
    weights_.copies.back().matrices.push_back({&linear, held, &matrix});
    return absl::OkStatus();
  }

  const float* floats(const std::byte* from, uint64_t count) {
    float* const to = carver_.take<float>(count);
    weights_.weight_bytes += count * sizeof(float);
    weights_.copies.back().floats.push_back({from, count, to});
    return to;
  }
  const float* floats(const TensorView& tensor) {
    return floats(tensor.data, tensor.bytes / sizeof(float));
  }
  NormWeights norm(const RmsNorm& norm) { return {floats(norm.weight), norm.epsilon}; }

  const StageOptions& options_;
  Carver& carver_;
  StageWeights& weights_;
  const LayerSpec* layer_ = nullptr;
};

/// In one piece, as convert_linear() asks for it: the device's worker is one thread.
void run_rows(int rows, const std::function<void(int, int)>& body) { body(0, rows); }

Status upload_matrix(const StageOptions& options, const StageWeights::MatrixCopy& copy,
                     Uploader& uploader) {
  const WeightSource& source = *options.model->weights;
  if (copy.held == WeightFormat::kKeep) {
    MKM_RETURN_IF_ERROR(uploader.matrix(*copy.linear, *copy.to, source.path()));
  } else {
    MKM_RETURN_IF_ERROR(check_linear(*copy.linear, source.path()));
    MKM_ASSIGN_OR_RETURN(const ConvertedLinear converted,
                         convert_linear(*copy.linear, copy.held, run_rows));
    copy.to->factor = matrix_of(converted.linear, copy.to->format).factor;
    MKM_RETURN_IF_ERROR(uploader.matrix(converted.linear, *copy.to, source.path()));
  }
  source.release(copy.linear->weight);
  if (copy.linear->scales) source.release(copy.linear->scales);
  return absl::OkStatus();
}

}  // namespace

Status place_weights(const StageOptions& options, Carver& carver, StageWeights& weights) {
  const int layers = options.last_layer - options.first_layer;
  weights.layers.resize(static_cast<size_t>(layers));
  Placer placer(options, carver, weights);
  for (int i = 0; i < layers; ++i) {
    const LayerSpec& spec = options.model->spec.layers[options.first_layer + i];
    MKM_RETURN_IF_ERROR(placer.place_layer(spec, weights.layers[i]));
  }
  return placer.place_ends();
}

Status upload_weights(const StageOptions& options, StageWeights& weights, Uploader& uploader) {
  const int layers = static_cast<int>(weights.layers.size());
  for (int i = 0; i <= layers; ++i) {
    const StageWeights::Copies& copies = weights.copies[static_cast<size_t>(i)];
    for (const auto& copy : copies.floats) {
      MKM_RETURN_IF_ERROR(uploader.bytes(copy.from, copy.count * sizeof(float), copy.to));
    }
    for (const auto& copy : copies.matrices) {
      MKM_RETURN_IF_ERROR(upload_matrix(options, copy, uploader));
    }
    if (options.progress && i < layers) options.progress(i + 1, layers);
  }
  return uploader.finish();
}

}  // namespace mokume::cuda
