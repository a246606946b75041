// Quantized Hugging Face checkpoints: what is in the files is what the layers are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "hf_files.h"
#include "model/linear.h"
#include "model/load_model.h"
#include "reference_forward.h"
#include "tiny_qwen3_5.h"

namespace mokume {
namespace {

using mokume::testing::HfFiles;
using mokume::testing::linears;
using mokume::testing::ReferenceForward;
using mokume::testing::StoredTensor;
using ::testing::HasSubstr;

double e4m3(uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return bits & 0x80 ? -magnitude : magnitude;
}

double e2m1(int nibble) {
  const double magnitudes[] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  return nibble & 8 ? -magnitudes[nibble & 7] : magnitudes[nibble];
}

/// The weight of layer `name` from the bytes that the checkpoint has for it.
std::vector<double> weight_of(const HfFiles& files, const std::string& name) {
  const auto tensor = [&](const char* suffix) -> const StoredTensor* {
    const auto found = files.tensors.find(name + suffix);
    return found == files.tensors.end() ? nullptr : &found->second;
  };
  const StoredTensor* packed = tensor(".weight_packed");
  const StoredTensor* stored = packed ? packed : tensor(".weight");
  const StoredTensor* scales = tensor(".weight_scale");
  const auto rows = static_cast<size_t>(stored->shape[0]);
  const size_t row_bytes = stored->bytes.size() / rows;
  const auto row_scale = [&](size_t row) {
    return scales->bytes.size() == 4 ? scales->at<float>(0) : scales->at<float>(row);
  };
  std::vector<double> weight;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = 0; i < row_bytes; ++i) {
      const auto byte = stored->at<uint8_t>(row * row_bytes + i);
      if (stored->dtype == "F32") {
        if (i % 4 == 0) weight.push_back(stored->at<float>((row * row_bytes + i) / 4));
      } else if (stored->dtype == "U8") {
        double scale = e4m3(scales->at<uint8_t>((row * row_bytes + i) / 8));
        if (packed) {
          scale /= tensor(".weight_global_scale")->at<float>(0);
        } else {
          scale *= tensor(".weight_scale_2")->at<float>(0);
        }
        weight.push_back(e2m1(byte & 15) * scale);
        weight.push_back(e2m1(byte >> 4) * scale);
      } else if (stored->dtype == "I32") {
        weight.push_back((byte - 128.0) * row_scale(row));
      } else if (stored->dtype == "I8") {
        weight.push_back(double{static_cast<float>(static_cast<int8_t>(byte))} * row_scale(row));
      } else {
        EXPECT_EQ(stored->dtype, "F8_E4M3");
        weight.push_back(e4m3(byte) * row_scale(row));
      }
    }
  }
  return weight;
}

/// Every layer's values, to the rounding of two float32 operations.
void expect_weights(const ModelSpec& spec, const HfFiles& files) {
  for (const Linear* linear : linears(spec)) {
    const std::string name = linear->weight.name.substr(0, linear->weight.name.rfind('.'));
    const std::vector<double> want = weight_of(files, name);
    std::vector<float> row(static_cast<size_t>(linear->weight.columns()));
    ASSERT_EQ(want.size(), row.size() * static_cast<size_t>(linear->weight.rows())) << name;
    for (size_t i = 0; i < want.size(); ++i) {
      const size_t column = i % row.size();
      if (column == 0) dequantize_linear_row(*linear, static_cast<int64_t>(i / row.size()), row);
      ASSERT_NEAR(row[column], want[i], std::fabs(want[i]) * 0x1p-22) << name << " " << i;
    }
    EXPECT_TRUE(check_scales(*linear).ok()) << name;
  }
}

struct Quantized {
  const char* name;
  DType weight;
  double error;  ///< of the logits, at most
};

void PrintTo(const Quantized& quantized, std::ostream* out) { *out << quantized.name; }

class QuantizedHf : public ::testing::TestWithParam<Quantized> {};

INSTANTIATE_TEST_SUITE_P(Directories, QuantizedHf,
                         ::testing::Values(Quantized{"tiny-qwen3-nvfp4", DType::kE2M1, 1e-4},
                                           Quantized{"tiny-qwen3-modelopt", DType::kE2M1, 1e-4},
                                           Quantized{"tiny-qwen3-int8", DType::kI8Plus128, 1e-4},
                                           Quantized{"tiny-qwen3_5-nvfp4", DType::kE2M1, 2e-3},
                                           Quantized{"tiny-qwen3_5-modelopt", DType::kE2M1, 2e-3},
                                           Quantized{"tiny-qwen3_5-int8", DType::kI8Plus128, 2e-3}),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(QuantizedHf, HasTheWeightsThatItsBytesSay) {
  const std::string name = GetParam().name;
  const auto loaded = load_model(MOKUME_SOURCE_DIR "/tests/data/hf/" + name);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const ModelSpec& spec = loaded->model->spec;
  const auto& ffn = std::get<SwiGlu>(spec.layers.back().ffn);
  EXPECT_EQ(ffn.down.weight.dtype, GetParam().weight);
  EXPECT_EQ(ffn.down.weight.shape[1], ffn.hidden);
  if (const auto* net = std::get_if<DeltaNet>(&spec.layers[0].mixer)) {
    EXPECT_EQ(net->qkv.weight.dtype, GetParam().weight);
    EXPECT_EQ(net->a.weight.dtype, DType::kF32);  // left out by a pattern
  }
  expect_weights(spec, HfFiles(name));
}

/// compressed-tensors 0.20 unpacks E2M1 to BF16, so that the weights that the reference computed
/// its logits with are rounded (compressors/nvfp4: unpack_fp4_from_uint8, decompress).
std::vector<float> rounded_to_bf16(const Linear& linear) {
  const auto columns = static_cast<size_t>(linear.weight.columns());
  std::vector<float> all(columns * static_cast<size_t>(linear.weight.rows()));
  for (size_t at = 0; at < all.size(); at += columns) {
    dequantize_linear_row(linear, static_cast<int64_t>(at / columns),
                          std::span(all).subspan(at, columns));
  }
  for (float& value : all) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    std::memcpy(&value, &bits, sizeof(bits));
  }
  return all;
}

TEST_P(QuantizedHf, GivesTheReferencesLogits) {
  const std::string name = GetParam().name;
  const auto loaded = load_model(MOKUME_SOURCE_DIR "/tests/data/hf/" + name);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ModelSpec spec = loaded->model->spec;
  std::vector<std::vector<float>> rounded;
  for (const Linear* linear : linears(spec)) {
    if (linear->weight.dtype != DType::kE2M1) continue;
    rounded.push_back(rounded_to_bf16(*linear));
    Linear& changed = const_cast<Linear&>(*linear);
    changed.scales = {};
    changed.scale = changed.divisor = 1;
    changed.weight.dtype = DType::kF32;
    changed.weight.data = reinterpret_cast<const std::byte*>(rounded.back().data());
    changed.weight.bytes = rounded.back().size() * sizeof(float);
  }
  const auto expected = mokume::testing::expected_logits("hf/" + name);
  const auto logits = ReferenceForward(spec).logits(expected.prompt);
  double worst = 0;
  for (size_t i = 0; i < expected.logits.size(); ++i) {
    worst = std::max(worst, std::fabs(logits[i / 512][i % 512] - expected.logits[i]));
  }
  EXPECT_LT(worst, GetParam().error);
  RecordProperty("worst", std::to_string(worst));
}

constexpr const char* kUp = "model.layers.1.mlp.up_proj.";

std::string up(const char* tensor) { return std::string(kUp) + tensor; }

const Linear& up_of(const ModelSpec& spec) { return std::get<SwiGlu>(spec.layers[1].ffn).up; }

/// tiny-qwen3-int8 with its weights as plain I8, or as FP8 with a scale a row, a tensor, or half
/// of it.
HfFiles unpacked(const char* dtype, bool one_scale) {
  HfFiles files("tiny-qwen3-int8");
  std::map<std::string, StoredTensor> tensors;
  for (auto& [name, tensor] : files.tensors) {
    if (name.ends_with("weight_shape")) continue;
    const size_t at = name.find("weight_packed");
    if (at == std::string::npos) {
      if (one_scale && name.ends_with("weight_scale")) {
        tensor.shape = {};
        tensor.bytes.resize(4);
      }
      tensors[name] = tensor;
      continue;
    }
    tensor.dtype = dtype;
    tensor.shape[1] *= 4;
    for (size_t i = 0; i < tensor.bytes.size(); ++i) {
      auto byte = static_cast<uint8_t>(tensor.at<uint8_t>(i) ^ 0x80u);
      if (tensor.dtype == "F8_E4M3" && (byte & 0x7f) == 0x7f) byte = 0;
      tensor.set(i, byte);
    }
    tensors[name.substr(0, at) + "weight"] = tensor;
  }
  files.tensors = std::move(tensors);
  auto& quantization = files.config["quantization_config"];
  if (std::string(dtype) != "I8") {
    quantization["config_groups"]["group_0"]["weights"]["type"] = "float";
    quantization["format"] = "float-quantized";
  }
  return files;
}

TEST(QuantizedHf, PlainI8) {
  HfFiles files = unpacked("I8", false);
  const auto spec = files.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(up_of(*spec).weight.dtype, DType::kI8);
  expect_weights(*spec, files);
  const HfFiles packed("tiny-qwen3-int8");
  EXPECT_EQ(weight_of(files, "model.layers.1.mlp.up_proj"),
            weight_of(packed, "model.layers.1.mlp.up_proj"));
}

TEST(QuantizedHf, Fp8WithAScaleARowOrATensor) {
  for (const bool one_scale : {false, true}) {
    HfFiles files = unpacked("F8_E4M3", one_scale);
    auto& arguments = files.config["quantization_config"]["config_groups"]["group_0"]["weights"];
    if (one_scale) arguments["strategy"] = "tensor";
    const auto spec = files.load();
    ASSERT_TRUE(spec.ok()) << spec.status();
    EXPECT_EQ(up_of(*spec).weight.dtype, DType::kF8_E4M3);
    EXPECT_EQ(to_string(up_of(*spec).scales), "[192] F32");
    expect_weights(*spec, files);
  }
}

TEST(QuantizedHf, ModelOptFp8FromEitherFile) {
  HfFiles files = unpacked("F8_E4M3", true);
  files.tensors[up("input_scale")] = {"F32", {}, std::string("\0\0\x80\x3f", 4)};
  files.tensors["model.layers.1.self_attn.k_proj.k_scale"] = files.tensors[up("input_scale")];
  files.tensors["model.layers.1.self_attn.v_proj.v_scale"] = files.tensors[up("input_scale")];
  files.config.erase("quantization_config");
  nlohmann::json settings;
  settings["quant_algo"] = settings["kv_cache_quant_algo"] = "FP8";
  settings["exclude_modules"] = std::vector<std::string>{"lm_head"};
  files.modelopt = nlohmann::json();
  (*files.modelopt)["quantization"] = settings;
  auto spec = files.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  expect_weights(*spec, files);
  files.modelopt.reset();
  files.config["quantization_config"] = {{"quant_method", "modelopt"}, {"quant_algo", "FP8"}};
  spec = files.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  expect_weights(*spec, files);
}

TEST(QuantizedHf, HalfPrecisionScalesAreWidened) {
  HfFiles files("tiny-qwen3-int8");
  StoredTensor& scales = files.tensors[up("weight_scale")];
  scales.dtype = "BF16";
  scales.shape = {192};
  std::string halves;
  for (size_t i = 0; i < 192; ++i) {
    halves += scales.bytes.substr(i * 4 + 2, 2);
    scales.set<uint16_t>(i * 2, 0);  // what the truncation leaves
  }
  const HfFiles want = files;
  scales.bytes = halves;
  const auto spec = files.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  const std::vector<float> found = mokume::testing::floats_of(up_of(*spec).scales);
  for (size_t i = 0; i < 192; ++i) {
    EXPECT_EQ(found[i], want.tensors.at(up("weight_scale")).at<float>(i));
  }
}

TEST(QuantizedHf, BiasesStay) {
  HfFiles files("tiny-qwen3-nvfp4");
  files.config["attention_bias"] = true;
  for (int layer = 0; layer < 5; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".self_attn.";
    for (const auto& [name, size] :
         {std::pair("q_proj", 128), {"k_proj", 64}, {"v_proj", 64}, {"o_proj", 64}}) {
      files.tensors[block + name + ".bias"] = {"F32", {size}, std::string(size * 4, '\0')};
    }
  }
  const auto spec = files.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(std::get<Attention>(spec->layers[0].mixer).o.bias);
}

TEST(QuantizedHf, ALayerLeftOutIsFloat) {
  HfFiles files("tiny-qwen3-nvfp4");
  for (const char* suffix : {"weight_packed", "weight_scale", "weight_global_scale"}) {
    files.tensors.erase(up(suffix));
  }
  files.tensors[up("weight")] = {"BF16", {192, 64}, std::string(192 * 64 * 2, '\0')};
  EXPECT_THAT(std::string(files.load().status().message()),
              HasSubstr("up_proj.weight has no place"));
  files.config["quantization_config"]["ignore"].push_back("model.layers.1.mlp.up_proj");
  const auto spec = files.load();
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(up_of(*spec).weight.dtype, DType::kBF16);
}

TEST(CheckScales, OfGroupsNamesTensorAndRow) {
  for (const int bits : {0, 0x80, 0x7f, 0xff, 0x81}) {
    HfFiles files("tiny-qwen3-nvfp4");
    files.tensors[up("weight_scale")].set(4 * 7 + 3, static_cast<uint8_t>(bits));
    const auto spec = files.load();
    ASSERT_TRUE(spec.ok()) << spec.status();
    const Status status = check_scales(up_of(*spec), "model.safetensors");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bits;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("tensor model.layers.1.mlp.up_proj.weight_scale has the scale "));
    EXPECT_THAT(std::string(status.message()), HasSubstr("in row 7;"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("(model.safetensors)"));
  }
}

struct Wrong {
  const char* name;
  const char* directory;
  std::function<void(HfFiles&)> make;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongQuantized : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongQuantized, IsRefusedWithTensorAndFile) {
  HfFiles files(GetParam().directory);
  ASSERT_TRUE(files.load().ok());
  GetParam().make(files);
  const Status status = files.load().status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), HasSubstr("(tiny.safetensors)"));
}

constexpr const char* kNvfp4 = "tiny-qwen3-nvfp4";
constexpr const char* kModelOpt = "tiny-qwen3-modelopt";
constexpr const char* kInt8 = "tiny-qwen3-int8";
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::function<void(HfFiles&)> without(const char* tensor) {
  return [=](HfFiles& files) { files.tensors.erase(up(tensor)); };
}
std::function<void(HfFiles&)> doubled(const char* tensor, const char* as) {
  return [=](HfFiles& files) { files.tensors[up(as)] = files.tensors.at(up(tensor)); };
}
std::function<void(HfFiles&)> with(const char* tensor, float value) {
  return [=](HfFiles& files) { files.tensors.at(up(tensor)).set(0, value); };
}
std::function<void(HfFiles&)> reshaped(const char* tensor, std::vector<int64_t> shape) {
  return [=](HfFiles& files) { files.tensors.at(up(tensor)).shape = shape; };
}
std::function<void(HfFiles&)> typed(const char* tensor, const char* dtype) {
  return [=](HfFiles& files) { files.tensors.at(up(tensor)).dtype = dtype; };
}
std::function<void(HfFiles&)> ignoring(const char* module) {
  return [=](HfFiles& files) { files.config["quantization_config"]["ignore"].push_back(module); };
}

const auto test_name = [](const auto& test) { return std::string(test.param.name); };

INSTANTIATE_TEST_SUITE_P(
    Present, WrongQuantized,
    ::testing::Values(
        Wrong{"NoPacked", kNvfp4, without("weight_packed"),
              "no tensor model.layers.1.mlp.up_proj.weight_packed; the"},
        Wrong{"NoScale", kNvfp4, without("weight_scale"),
              "no tensor model.layers.1.mlp.up_proj.weight_scale; the"},
        Wrong{"NoGlobal", kNvfp4, without("weight_global_scale"),
              "no tensor model.layers.1.mlp.up_proj.weight_global_scale; the"},
        Wrong{"NoScale2", kModelOpt, without("weight_scale_2"),
              "no tensor model.layers.1.mlp.up_proj.weight_scale_2; the"},
        Wrong{"NoInt8", kInt8, without("weight_packed"),
              "no tensor model.layers.1.mlp.up_proj.weight; the"},
        Wrong{"NoInt8Scale", kInt8, without("weight_scale"),
              "no tensor model.layers.1.mlp.up_proj.weight_scale; the"},
        Wrong{"NoShape", kInt8, without("weight_shape"),
              "no tensor model.layers.1.mlp.up_proj.weight_shape; the"},
        Wrong{"Both", kNvfp4, doubled("weight_packed", "weight"),
              "up_proj.weight has no place in a layer that is NVFP4"},
        Wrong{"BothOfModelOpt", kModelOpt, doubled("weight", "weight_packed"),
              "up_proj.weight_packed has no place"},
        Wrong{"BothOfInt8", kInt8, doubled("weight_packed", "weight"),
              "up_proj.weight_packed has no place"},
        Wrong{"BothScales", kNvfp4, doubled("weight_global_scale", "weight_scale_2"),
              "up_proj.weight_scale_2 has no place"},
        Wrong{"ZeroPoint", kInt8, doubled("weight_scale", "weight_zero_point"),
              "up_proj.weight_zero_point has no place"},
        Wrong{"Order", kInt8, doubled("weight_shape", "weight_g_idx"),
              "up_proj.weight_g_idx has no place"},
        Wrong{"Smoothing", kModelOpt, doubled("weight_scale_2", "pre_quant_scale"),
              "up_proj.pre_quant_scale has no place"},
        Wrong{"LeftOutButPacked", kNvfp4, ignoring("re:.*up_proj"),
              "tensor model.layers.0.mlp.up_proj.weight_packed is there in place of"},
        Wrong{"LeftOutButU8", kModelOpt, ignoring("*layers.1.mlp*"),
              "tensor model.layers.1.mlp.gate_proj.weight is [192, 64] E2M1, quantized, but"},
        Wrong{"Embedding", kModelOpt,
              [](HfFiles& f) {
                auto& embedding = f.tensors["model.embed_tokens.weight"];
                embedding.dtype = "U8";
                embedding.shape = {512, 32};
                embedding.bytes.resize(512 * 32);
              },
              "tensor model.embed_tokens.weight is [512, 64] E2M1, quantized, but"}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Values, WrongQuantized,
    ::testing::Values(
        Wrong{"NanScale", kInt8, with("weight_scale", kNan),
              "up_proj.weight_scale has the scale nan in row 0"},
        Wrong{"ZeroScale", kInt8, with("weight_scale", 0),
              "up_proj.weight_scale has the scale 0 in row 0"},
        Wrong{"NegativeScale", kInt8, with("weight_scale", -1),
              "up_proj.weight_scale has the scale -1 in row 0"},
        Wrong{"InfiniteScale", kInt8, with("weight_scale", HUGE_VALF),
              "up_proj.weight_scale has the scale inf"},
        Wrong{"LaterScale", kInt8,
              [](HfFiles& f) { f.tensors.at(up("weight_scale")).set<float>(191, 0); },
              "in row 191"},
        Wrong{"NanGlobal", kNvfp4, with("weight_global_scale", kNan),
              "up_proj.weight_global_scale has the scale nan"},
        Wrong{"ZeroGlobal", kNvfp4, with("weight_global_scale", 0),
              "up_proj.weight_global_scale has the scale 0"},
        Wrong{"TinyGlobal", kNvfp4, with("weight_global_scale", 1e-38f),
              "up_proj.weight_global_scale has the scale 1e-38"},
        Wrong{"NegativeScale2", kModelOpt, with("weight_scale_2", -2),
              "up_proj.weight_scale_2 has the scale -2"},
        Wrong{"InputGlobal", kNvfp4,
              [](HfFiles& f) {
                f.tensors[up("input_global_scale")] = {"F32", {1}, std::string(4, '\0')};
              },
              "up_proj.input_global_scale has the scale 0"},
        Wrong{"Input", kModelOpt,
              [](HfFiles& f) {
                f.tensors[up("input_scale")] = {"F32", {}, std::string(4, '\0')};
              },
              "up_proj.input_scale has the scale 0"},
        Wrong{"StoredShape", kInt8,
              [](HfFiles& f) { f.tensors.at(up("weight_shape")).set<int64_t>(1, 63); },
              "up_proj.weight_shape must hold 192 and 64"}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Shapes, WrongQuantized,
    ::testing::Values(
        Wrong{"Packed", kNvfp4, reshaped("weight_packed", {96, 64}),
              "up_proj.weight_packed is [96, 128] E2M1; must be [192, 64] E2M1"},
        Wrong{"Flat", kNvfp4, reshaped("weight_packed", {192 * 32}),
              "up_proj.weight_packed is [12288] E2M1; must be"},
        Wrong{"Scale", kNvfp4, reshaped("weight_scale", {96, 8}),
              "up_proj.weight_scale is [96, 8] F8_E4M3; must be [192, 4]"},
        Wrong{"RowScale", kInt8, reshaped("weight_scale", {1, 192}),
              "up_proj.weight_scale is [1, 192] F32; must be [192], [192, 1] or [1]"},
        Wrong{"GroupScale", kInt8, reshaped("weight_scale", {96, 2}),
              "up_proj.weight_scale is [96, 2] F32; must be"},
        Wrong{"Pack", kInt8, reshaped("weight_packed", {96, 32}),
              "up_proj.weight_packed is [96, 128] I8+128; must be [192, 64]"},
        Wrong{"Global", kNvfp4,
              [](HfFiles& f) {
                f.tensors[up("weight_global_scale")] = {"F32", {2}, std::string(8, '\1')};
              },
              "up_proj.weight_global_scale is [2] F32; must be [1]"},
        Wrong{"PackedType", kNvfp4, typed("weight_packed", "I8"),
              "up_proj.weight_packed is [192, 32] I8; must be [192, 64] E2M1"},
        Wrong{"ScaleType", kNvfp4, typed("weight_scale", "I8"),
              "up_proj.weight_scale is [192, 4] I8; must be [192, 4] F8_E4M3"},
        Wrong{"E5m2", kNvfp4, typed("weight_scale", "F8_E5M2"),
              "up_proj.weight_scale is of type F8_E5M2"},
        Wrong{"IntScale", kInt8, typed("weight_scale", "I32"), "up_proj.weight_scale is"},
        Wrong{"ShapeType", kInt8, typed("weight_shape", "F64"), "up_proj.weight_shape must be I64"},
        Wrong{"Config", kNvfp4, [](HfFiles& f) { f.config["intermediate_size"] = 184; },
              "gate_proj.weight_packed is [192, 64] E2M1; must be [184, 64]"},
        Wrong{"Float", kInt8, typed("weight_packed", "F32"),
              "up_proj.weight_packed is [192, 16] F32; must be [192, 64] I8+128"}),
    test_name);

// 40 is no multiple of 16: no tensor could be right.
TEST(QuantizedHf, GroupsMustDivideTheInputs) {
  HfFiles files(kNvfp4);
  files.config["intermediate_size"] = 40;
  for (auto& [name, tensor] : files.tensors) {
    const bool up_or_gate =
        name.find("up_proj") != std::string::npos || name.find("gate_proj") != std::string::npos;
    if (!up_or_gate || tensor.shape[0] != 192) continue;
    tensor.shape[0] = 40;
    tensor.bytes.resize(tensor.bytes.size() / 192 * 40);
  }
  EXPECT_EQ(
      files.load().status().message(),
      "[model] layer model.layers.0.mlp.down_proj has 40 inputs; NVFP4 needs a multiple of its "
      "group size 16 (tiny.safetensors)");
}

}  // namespace
}  // namespace mokume
