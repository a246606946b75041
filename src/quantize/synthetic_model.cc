#include "quantize/synthetic_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/text.h"
#include "model/rope.h"
#include "quantize/random_words.h"
#include "quantize/synthetic_tokenizer.h"

namespace mokume {
namespace {

constexpr int kAttentionInterval = 4;
constexpr int kDeltaHeadDim = 128;
constexpr int kConvKernel = 4;
constexpr int kRotatedShare = 4;  // of a hybrid's head one in so many dimensions is turned

// The published config.json files.
constexpr std::array kShapes = {
    SyntheticShape{.name = "qwen3.5-9b",
                   .layers = 32,
                   .hidden = 4096,
                   .ffn = 12288,
                   .heads = 16,
                   .kv_heads = 4,
                   .head_dim = 256,
                   .vocab = 248320,
                   .context = 262144,
                   .theta = 1e7,
                   .epsilon = 1e-6f,
                   .key_heads = 16,
                   .value_heads = 32},
    SyntheticShape{.name = "qwen3.5-0.8b",
                   .layers = 24,
                   .hidden = 1024,
                   .ffn = 3584,
                   .heads = 8,
                   .kv_heads = 2,
                   .head_dim = 256,
                   .vocab = 248320,
                   .context = 262144,
                   .theta = 1e7,
                   .epsilon = 1e-6f,
                   .tied = true,
                   .key_heads = 16,
                   .value_heads = 16},
    SyntheticShape{.name = "llama-3.1-8b",
                   .layers = 32,
                   .hidden = 4096,
                   .ffn = 14336,
                   .heads = 32,
                   .kv_heads = 8,
                   .head_dim = 128,
                   .vocab = 128256,
                   .context = 131072,
                   .theta = 5e5,
                   .epsilon = 1e-5f},
};

/// Llama 3.1: pairs that turn slowly are scaled by 8, those that turn fast not at all.
std::vector<float> llama3_divisors(int dims, double theta) {
  constexpr double kFactor = 8, kLow = 1, kHigh = 4, kContext = 8192;
  std::vector<float> divisors;
  for (int pair = 0; pair < dims / 2; ++pair) {
    const double turns = kContext * std::pow(theta, -2.0 * pair / dims) / (2 * std::numbers::pi);
    const double kept = std::clamp((turns - kLow) / (kHigh - kLow), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / (kept + (1 - kept) / kFactor)));
  }
  return divisors;
}

/// Nothing is mapped: the tensors have no bytes in any file.
class NoWeights : public WeightSource {
 public:
  explicit NoWeights(std::string name) : name_(std::move(name)) {}
  Result<TensorView> tensor(std::string_view name) const override {
    return not_found("quantize", "no tensor ", name, " (", name_, ")");
  }
  bool contains(std::string_view) const override { return false; }
  std::vector<std::string> names() const override { return {}; }
  void release(const TensorView&) const override {}
  const std::string& path() const override { return name_; }

 private:
  const std::string name_;
};

class SpecBuilder {
 public:
  SpecBuilder(const SyntheticShape& shape, uint64_t seed) : shape_(shape), seed_(seed) {}

  ModelSpec build(int layers) {
    spec_.name = std::string(shape_.name);
    spec_.architecture = shape_.is_hybrid() ? "qwen3_5_text" : "llama";
    spec_.vocab_size = shape_.vocab;
    spec_.hidden_size = shape_.hidden;
    spec_.context_length = shape_.context;
    spec_.embedding = matrix("embedding", shape_.vocab, shape_.hidden).weight;
    for (int i = 0; i < layers; ++i) add_layer(i);
    spec_.final_norm = norm("final norm", shape_.hidden);
    spec_.tied_head = shape_.tied;
    if (!shape_.tied) spec_.head = matrix("head", shape_.vocab, shape_.hidden);
    if (shape_.tied) spec_.head.weight = spec_.embedding;
    return std::move(spec_);
  }

 private:
  void add_layer(int index) {
    prefix_ = str_cat("layer ", index, " ");
    LayerSpec layer;
    layer.mixer_norm = norm("mixer norm", shape_.hidden);
    const bool attends = !shape_.is_hybrid() || (index + 1) % kAttentionInterval == 0;
    if (attends) {
      layer.mixer = attention();
    } else {
      layer.mixer = delta_net();
    }
    layer.ffn_norm = norm("ffn norm", shape_.hidden);
    layer.ffn = SwiGlu{.hidden = shape_.ffn,
                       .gate = matrix("gate", shape_.ffn, shape_.hidden),
                       .up = matrix("up", shape_.ffn, shape_.hidden),
                       .down = matrix("down", shape_.hidden, shape_.ffn)};
    spec_.layers.push_back(std::move(layer));
    prefix_.clear();
  }

  Attention attention() {
    Attention a;
    a.heads = shape_.heads;
    a.kv_heads = shape_.kv_heads;
    a.head_dim = shape_.head_dim;
    a.scale = 1 / std::sqrt(static_cast<float>(shape_.head_dim));
    a.output_gate = shape_.is_hybrid();
    const int width = shape_.heads * shape_.head_dim, kv_width = shape_.kv_heads * shape_.head_dim;
    a.q = matrix("q", a.output_gate ? 2 * width : width, shape_.hidden);
    a.k = matrix("k", kv_width, shape_.hidden);
    a.v = matrix("v", kv_width, shape_.hidden);
    a.o = matrix("o", shape_.hidden, width);
    std::vector<float> divisors;
    if (shape_.is_hybrid()) {
      a.q_norm = norm("q norm", shape_.head_dim);
      a.k_norm = norm("k norm", shape_.head_dim);
    } else {
      divisors = llama3_divisors(shape_.head_dim, shape_.theta);
    }
    a.rope = make_rope({.dims = shape_.head_dim / (shape_.is_hybrid() ? kRotatedShare : 1),
                        .base = shape_.theta,
                        .divisors = divisors});
    return a;
  }

  DeltaNet delta_net() {
    DeltaNet net;
    net.key_heads = shape_.key_heads;
    net.value_heads = shape_.value_heads;
    net.key_dim = net.value_dim = kDeltaHeadDim;
    net.conv_kernel = kConvKernel;
    net.qkv = matrix("qkv", net.channels(), shape_.hidden);
    net.z = matrix("z", net.value_width(), shape_.hidden);
    net.a = matrix("a", net.value_heads, shape_.hidden);
    net.b = matrix("b", net.value_heads, shape_.hidden);
    net.o = matrix("o", shape_.hidden, net.value_width());
    // PyTorch's convolutions start uniform within 1 / sqrt(inputs of a channel).
    const double bound = 1 / std::sqrt(double{kConvKernel});
    net.conv = vector("conv", {net.channels(), kConvKernel},
                      [=](double u) { return bound * (2 * u - 1); });
    // transformers' Qwen3.5 starts with A uniform in (0, 16) and dt_bias 1.
    net.decay_rate = vector("decay", {net.value_heads}, [](double u) { return -16 * u; });
    net.dt_bias = vector("dt bias", {net.value_heads}, [](double) { return 1.0; });
    net.norm = norm("norm", net.value_dim);
    return net;
  }

  Linear matrix(std::string_view name, int64_t rows, int64_t columns) const {
    static const std::byte kNothing{};
    Linear linear;
    linear.weight.name = prefix_ + std::string(name);
    linear.weight.data = &kNothing;
    linear.weight.bytes = static_cast<uint64_t>(rows * columns) * sizeof(uint16_t);
    linear.weight.dtype = DType::kBF16;
    linear.weight.rank = 2;
    linear.weight.shape = {rows, columns};
    return linear;
  }

  RmsNorm norm(std::string_view name, int64_t size) {
    return {vector(name, {size}, [](double u) { return 0.9 + 0.2 * u; }), shape_.epsilon};
  }

  /// `value` turns a uniform number into an element.
  template <typename Value>
  TensorView vector(std::string_view name, std::initializer_list<int64_t> shape, Value value) {
    TensorView view;
    view.name = prefix_ + std::string(name);
    int64_t size = 1;
    for (const int64_t dimension : shape) {
      view.shape[static_cast<size_t>(view.rank++)] = dimension;
      size *= dimension;
    }
    const RandomWords random(seed_, view.name);
    auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(size));
    for (size_t i = 0; i < values->size(); ++i) {
      (*values)[i] = static_cast<float>(value(random.uniform(i)));
    }
    view.data = reinterpret_cast<const std::byte*>(values->data());
    view.bytes = values->size() * sizeof(float);
    spec_.converted.push_back(std::move(values));
    return view;
  }

  const SyntheticShape& shape_;
  const uint64_t seed_;
  std::string prefix_;
  ModelSpec spec_;
};

}  // namespace

std::string known_shapes() {
  std::string names;
  for (const SyntheticShape& shape : kShapes) {
    names += str_cat(names.empty() ? "" : ", ", shape.name);
  }
  return names;
}

Result<SyntheticShape> find_shape(std::string_view name) {
  const auto shape = std::ranges::find(kShapes, name, &SyntheticShape::name);
  if (shape != kShapes.end()) return *shape;
  return invalid_argument("quantize", "no shape is called ", quote(name), "; there are ",
                          known_shapes());
}

Result<LoadedModel> make_synthetic_model(const SyntheticShape& shape, int layers, uint64_t seed) {
  const int least = shape.is_hybrid() ? kAttentionInterval : 1;
  if (layers != 0 && (layers < least || layers > shape.layers)) {
    return invalid_argument("quantize", layers, " layers of ", shape.name, "; must be ", least,
                            " to ", shape.layers, ", or 0 for all");
  }
  const ChatStyle style = shape.is_hybrid() ? ChatStyle::kChatMl : ChatStyle::kLlama3;
  MKM_ASSIGN_OR_RETURN(SyntheticTokenizer text, make_synthetic_tokenizer(style, shape.vocab));
  ModelSpec spec = SpecBuilder(shape, seed).build(layers == 0 ? shape.layers : layers);
  LoadedModel loaded;
  loaded.model = std::make_shared<const Model>(
      Model{std::move(spec), std::make_shared<NoWeights>(std::string(shape.name))});
  loaded.tokenizer = std::move(text.tokenizer);
  loaded.chat_template = std::move(text.chat_template);
  return loaded;
}

}  // namespace mokume
