// A stage that converts its weights computes what one does that found them converted.
#include "model/convert.h"

#include <gtest/gtest.h>

#include <future>
#include <limits>

#include "device/cpu/cpu_device.h"
#include "model/layer_tensors.h"
#include "model/linear.h"
#include "model/load_model.h"
#include "weights/encode.h"

namespace mokume {
namespace {

constexpr WeightFormat kFormats[] = {WeightFormat::kInt8, WeightFormat::kF16, WeightFormat::kBF16,
                                     WeightFormat::kNvfp4};

std::shared_ptr<const Model> load(const std::string& name) {
  auto loaded = load_model(MOKUME_SOURCE_DIR "/tests/data/gguf/" + name);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->model : nullptr;
}

StageOptions options_of(const std::shared_ptr<const Model>& model, WeightFormat weights) {
  StageOptions options{model, 0, static_cast<int>(model->spec.layers.size())};
  options.has_embedding = options.has_head = true;
  options.weights = weights;
  options.kv_pages = 2;
  options.state_slots = 1;
  options.max_tokens = options.max_logit_rows = 16;
  return options;
}

Result<std::vector<float>> logits(const std::shared_ptr<const Model>& model, WeightFormat weights) {
  MKM_ASSIGN_OR_RETURN(const auto device, make_cpu_device({"cpu0", 2, {}, ""}));
  MKM_ASSIGN_OR_RETURN(const auto stage, device->make_stage(options_of(model, weights)));
  const std::vector<int32_t> ids{3, 1, 4, 1, 5, 9, 2, 6}, pages{0}, rows{0, 7};
  const SequenceSlice slice{0, 8, 0, pages};
  std::vector<float> out(2 * static_cast<size_t>(model->spec.vocab_size));
  StageStep step{ids, {&slice, 1}, rows};
  step.logits_out = out.data();
  std::promise<Status> done;
  stage->enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
  MKM_RETURN_IF_ERROR(done.get_future().get());
  return out;
}

/// What a converted checkpoint would hold.
struct Encoded {
  std::vector<std::vector<uint8_t>> storage;
  std::shared_ptr<Model> model;

  Encoded(const Model& from, WeightFormat format) : model(std::make_shared<Model>(from)) {
    for (LayerSpec& layer : model->spec.layers) {
      const auto* net = std::get_if<DeltaNet>(&layer.mixer);
      for (const Linear* linear : layer_linears(layer)) {
        const bool small = net && (linear == &net->a || linear == &net->b);
        if (!small) encode(const_cast<Linear&>(*linear), format);
      }
    }
    Linear& head = model->spec.head;
    const DType type = head.weight.dtype;
    const bool wide = type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
    if (wide && format == WeightFormat::kInt8) encode(head, format);
  }

 private:
  uint8_t* allocate(size_t bytes) { return storage.emplace_back(bytes).data(); }

  void encode(Linear& linear, WeightFormat format) {
    const auto rows = static_cast<size_t>(linear.weight.rows());
    const auto columns = static_cast<size_t>(linear.weight.columns());
    std::vector<float> all(rows * columns);
    float largest = 0;
    for (size_t r = 0; r < rows; ++r)
      dequantize_linear_row(linear, static_cast<int64_t>(r), {&all[r * columns], columns});
    for (float x : all) largest = std::max(largest, std::fabs(x));
    const bool nvfp4 = format == WeightFormat::kNvfp4, int8 = format == WeightFormat::kInt8;
    const size_t row_bytes = nvfp4 ? columns / 2 : int8 ? columns : columns * 2;
    const size_t scale_bytes = nvfp4 ? columns / 16 : int8 ? 4 : 0;
    uint8_t* weight = allocate(rows * row_bytes);
    uint8_t* scales = allocate(rows * scale_bytes);
    const float divisor = nvfp4 ? nvfp4_divisor(largest) : 1;
    for (size_t r = 0; r < rows; ++r) {
      const std::span<const float> row(&all[r * columns], columns);
      uint8_t* out = weight + r * row_bytes;
      if (nvfp4) {
        encode_nvfp4_row(row, divisor, {out, row_bytes}, {scales + r * scale_bytes, scale_bytes});
      } else if (int8) {
        const float scale = encode_int8_row(row, {reinterpret_cast<int8_t*>(out), columns});
        std::memcpy(scales + r * 4, &scale, 4);
      } else if (format == WeightFormat::kF16) {
        encode_f16_row(row, {reinterpret_cast<uint16_t*>(out), columns});
      } else {
        encode_bf16_row(row, {reinterpret_cast<uint16_t*>(out), columns});
      }
    }
    point_to(linear,
             nvfp4                          ? DType::kE2M1
             : int8                         ? DType::kI8
             : format == WeightFormat::kF16 ? DType::kF16
                                            : DType::kBF16,
             {weight, rows * row_bytes}, {scales, rows * scale_bytes}, divisor);
  }

  static void point_to(Linear& linear, DType type, std::span<uint8_t> weight,
                       std::span<uint8_t> scales, float divisor) {
    linear.weight.dtype = type;
    linear.weight.data = reinterpret_cast<const std::byte*>(weight.data());
    linear.weight.bytes = weight.size();
    linear.scale = 1;
    linear.divisor = divisor;
    linear.scales = {};
    if (scales.empty()) return;
    linear.scales = linear.weight;
    linear.scales.dtype = type == DType::kI8 ? DType::kF32 : DType::kF8_E4M3;
    linear.scales.data = reinterpret_cast<const std::byte*>(scales.data());
    linear.scales.bytes = scales.size();
    linear.scales.shape = {linear.weight.rows(),
                           type == DType::kI8 ? 1 : linear.weight.columns() / 16};
  }
};

TEST(Conversion, WhileLoadingGivesWhatAConvertedCheckpointDoes) {
  for (const char* name : {"tiny-llama.gguf", "tiny-qwen3_5.gguf", "wide-llama-Q5_K_M.gguf",
                           "wide-llama-NVFP4.gguf"}) {
    const auto model = load(name);
    const auto kept = logits(model, WeightFormat::kKeep);
    ASSERT_TRUE(kept.ok()) << kept.status();
    for (WeightFormat format : kFormats) {
      const auto converted = logits(model, format);
      ASSERT_TRUE(converted.ok()) << converted.status();
      const bool same =
          format == WeightFormat::kNvfp4 && std::string(name).find("NVFP4") != std::string::npos;
      if (same) {
        EXPECT_EQ(*converted, *kept);  // what is of the format already is left as it is
        continue;
      }
      const Encoded encoded(*model, format);
      const auto expected = logits(encoded.model, WeightFormat::kKeep);
      ASSERT_TRUE(expected.ok()) << expected.status();
      EXPECT_EQ(*converted, *expected) << name << " " << weight_format_name(format);
      EXPECT_NE(*converted, *kept) << name << " " << weight_format_name(format);
    }
  }
}

TEST(Conversion, KeepsSmallProjectionsAndRowsThatAreNoGroups) {
  const auto model = load("tiny-qwen3_5.gguf");
  const LayerSpec& layer = model->spec.layers[0];
  const auto& net = std::get<DeltaNet>(layer.mixer);
  EXPECT_EQ(layer_format(layer, net.a, WeightFormat::kInt8), WeightFormat::kKeep);
  EXPECT_EQ(layer_format(layer, net.b, WeightFormat::kNvfp4), WeightFormat::kKeep);
  EXPECT_EQ(layer_format(layer, net.qkv, WeightFormat::kNvfp4), WeightFormat::kNvfp4);
  Linear odd;
  odd.weight.rank = 2;
  odd.weight.shape = {4, 24};
  EXPECT_EQ(layer_format(layer, odd, WeightFormat::kNvfp4), WeightFormat::kKeep);
  EXPECT_EQ(layer_format(layer, odd, WeightFormat::kInt8), WeightFormat::kInt8);
}

TEST(Conversion, TakesAHeadOfManyBitsToInt8AndNoLower) {
  Linear head;
  head.weight.rank = 2;
  head.weight.shape = {4, 32};
  for (const DType wide : {DType::kF32, DType::kF16, DType::kBF16}) {
    head.weight.dtype = wide;
    EXPECT_EQ(head_format(head, WeightFormat::kInt8), WeightFormat::kInt8);
    for (const WeightFormat other :
         {WeightFormat::kKeep, WeightFormat::kF16, WeightFormat::kBF16, WeightFormat::kNvfp4}) {
      EXPECT_EQ(head_format(head, other), WeightFormat::kKeep);
    }
  }
  for (const DType quantized : {DType::kQ8_0, DType::kQ6_K, DType::kI8}) {
    head.weight.dtype = quantized;
    EXPECT_EQ(head_format(head, WeightFormat::kInt8), WeightFormat::kKeep);
  }
}

TEST(Conversion, CountsWhatItWillTake) {
  const auto model = load("tiny-llama.gguf");
  for (WeightFormat format : kFormats) {
    const auto device = make_cpu_device({"cpu0", 1, {}, ""});
    const auto converting = (*device)->make_stage(options_of(model, format));
    ASSERT_TRUE(converting.ok()) << converting.status();
    const Encoded encoded(*model, format);
    const auto keeping = (*device)->make_stage(options_of(encoded.model, WeightFormat::kKeep));
    ASSERT_TRUE(keeping.ok()) << keeping.status();
    EXPECT_EQ((*converting)->memory_bytes(), (*keeping)->memory_bytes());
  }
}

TEST(Conversion, RefusesValuesThatTheFormatCannotHold) {
  const auto whole = [](int rows, const std::function<void(int, int)>& body) { body(0, rows); };
  std::vector<float> values(64, 1.0f);
  Linear linear;
  linear.weight = {"blk.7.w", reinterpret_cast<const std::byte*>(values.data()), 256, DType::kF32,
                   2};
  linear.weight.shape = {2, 32};
  values[40] = 65520;
  EXPECT_EQ(convert_linear(linear, WeightFormat::kF16, whole).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(convert_linear(linear, WeightFormat::kBF16, whole).ok());
  for (float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    values[40] = bad;
    for (WeightFormat format : kFormats) {
      const Status status = convert_linear(linear, format, whole).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find("blk.7.w"), std::string::npos) << status;
    }
  }
}

TEST(Conversion, IsNotToAFormatOfFiles) {
  const auto device = make_cpu_device({"cpu0", 1, {}, ""});
  EXPECT_FALSE(
      (*device)->make_stage(options_of(load("tiny-llama.gguf"), WeightFormat::kQ8_0)).ok());
}

}  // namespace
}  // namespace mokume
