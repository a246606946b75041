#include "bench/cuda/layer_model.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <variant>
#include <vector>

namespace mokume::bench {
namespace {

using cuda::Format;

constexpr float kInt8Scale = 1e-4f, kNvfp4Scale = 1e-2f;

/// 16 bits as both F16 and BF16 take them for small numbers: any sign and mantissa, one exponent.
constexpr uint16_t kHalfMask = 0x83ff, kHalfExponent = 0x2000;
constexpr uint16_t kBFloatMask = 0x807f, kBFloatExponent = 0x3c00;
/// E4M3 in [1/16, 1).
constexpr uint8_t kScaleMask = 0x1f, kScaleExponent = 0x18;

std::vector<std::byte> random_words(uint64_t bytes, uint16_t mask, uint16_t exponent) {
  std::minstd_rand random(1);
  std::vector<std::byte> out(bytes);
  for (uint64_t i = 0; i + 1 < bytes; i += 2) {
    const auto word = static_cast<uint16_t>(((random() >> 4) & mask) | exponent);
    std::memcpy(&out[i], &word, sizeof(word));
  }
  return out;
}

class RandomBits : public WeightSource {
 public:
  RandomBits(std::string name, uint64_t elements, uint64_t rows)
      : name_(std::move(name)),
        halves_(random_words(2 * elements, kHalfMask, kHalfExponent)),
        bfloats_(random_words(2 * elements, kBFloatMask, kBFloatExponent)),
        quants_(random_words(elements, 0xffff, 0)),
        group_scales_(random_words(elements / 16, kScaleMask * 0x101, kScaleExponent * 0x101)),
        row_scales_(rows, kInt8Scale) {}

  Linear linear(const Linear& shaped, Format format) const {
    Linear out = shaped;
    const auto rows = static_cast<uint64_t>(out.weight.rows());
    const auto columns = static_cast<uint64_t>(out.weight.columns());
    out.weight.bytes = cuda::data_bytes(format, static_cast<int>(rows), static_cast<int>(columns));
    switch (format) {
      case Format::kF16:
        out.weight.dtype = DType::kF16;
        out.weight.data = halves_.data();
        return out;
      case Format::kBF16:
        out.weight.dtype = DType::kBF16;
        out.weight.data = bfloats_.data();
        return out;
      case Format::kInt8:
        out.weight.dtype = DType::kI8;
        out.weight.data = quants_.data();
        out.scales.dtype = DType::kF32;
        out.scales.data = reinterpret_cast<const std::byte*>(row_scales_.data());
        out.scales.bytes = rows * sizeof(float);
        out.scales.shape = {static_cast<int64_t>(rows)};
        out.scales.rank = 1;
        return out;
      default:
        out.weight.dtype = DType::kE2M1;
        out.weight.data = quants_.data();
        out.scale = kNvfp4Scale;
        out.scales.dtype = DType::kF8_E4M3;
        out.scales.data = group_scales_.data();
        out.scales.bytes = rows * columns / 16;
        out.scales.shape = {static_cast<int64_t>(rows), static_cast<int64_t>(columns / 16)};
        out.scales.rank = 2;
        return out;
    }
  }

  Result<TensorView> tensor(std::string_view name) const override {
    return not_found("bench", "no tensor ", name, " (", name_, ")");
  }
  bool contains(std::string_view) const override { return false; }
  std::vector<std::string> names() const override { return {}; }
  void release(const TensorView&) const override {}
  const std::string& path() const override { return name_; }

 private:
  const std::string name_;
  const std::vector<std::byte> halves_, bfloats_, quants_, group_scales_;
  const std::vector<float> row_scales_;
};

/// Calls use(linear, whether it stays at 16 bits).
template <typename Use>
void each_linear(LayerSpec& layer, const Use& use) {
  if (auto* attention = std::get_if<Attention>(&layer.mixer)) {
    for (Linear* linear : {&attention->q, &attention->k, &attention->v, &attention->o}) {
      use(*linear, false);
    }
  } else {
    auto& net = std::get<DeltaNet>(layer.mixer);
    for (Linear* linear : {&net.qkv, &net.z, &net.o}) use(*linear, false);
    for (Linear* linear : {&net.a, &net.b}) use(*linear, true);
  }
  auto& ffn = std::get<SwiGlu>(layer.ffn);
  for (Linear* linear : {&ffn.gate, &ffn.up, &ffn.down}) use(*linear, false);
}

}  // namespace

const char* name_of(Format format) {
  constexpr const char* kNames[cuda::kFormats] = {"f32", "f16", "bf16",   "fp8",  "int8",
                                                  "q8",  "q4",  "q4_min", "nvfp4"};
  return kNames[static_cast<int>(format)];
}

Result<std::shared_ptr<const Model>> make_layer_model(const SyntheticShape& shape, int layers,
                                                      Format format) {
  if (format != Format::kF16 && format != Format::kInt8 && format != Format::kNvfp4) {
    return invalid_argument("bench", "weights in ", name_of(format),
                            "; must be f16, int8 or nvfp4");
  }
  MKM_ASSIGN_OR_RETURN(const LoadedModel shaped, make_synthetic_model(shape, layers, 1));
  ModelSpec spec = shaped.model->spec;
  uint64_t elements = 0, rows = 0;
  for (LayerSpec& layer : spec.layers) {
    each_linear(layer, [&](Linear& linear, bool) {
      const auto height = static_cast<uint64_t>(linear.weight.rows());
      rows = std::max(rows, height);
      elements = std::max(elements, height * static_cast<uint64_t>(linear.weight.columns()));
    });
  }
  const auto bits = std::make_shared<const RandomBits>(spec.name, elements, rows);
  const Format small = format == Format::kF16 ? Format::kF16 : Format::kBF16;
  for (LayerSpec& layer : spec.layers) {
    each_linear(layer, [&](Linear& linear, bool stays) {
      linear = bits->linear(linear, stays ? small : format);
    });
  }
  return std::make_shared<const Model>(Model{std::move(spec), bits});
}

}  // namespace mokume::bench
