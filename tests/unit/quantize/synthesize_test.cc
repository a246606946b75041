#include "quantize/synthesize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/linear.h"
#include "model/load_model.h"

namespace mokume {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr SyntheticShape kHybrid = {.name = "small-hybrid",
                                    .layers = 8,
                                    .hidden = 256,
                                    .ffn = 512,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .head_dim = 64,
                                    .vocab = 700,
                                    .context = 1024,
                                    .theta = 1e7,
                                    .epsilon = 1e-6f,
                                    .key_heads = 2,
                                    .value_heads = 4};
constexpr SyntheticShape kLlama = {.name = "small-llama",
                                   .layers = 2,
                                   .hidden = 256,
                                   .ffn = 512,
                                   .heads = 4,
                                   .kv_heads = 2,
                                   .head_dim = 128,
                                   .vocab = 600,
                                   .context = 131072,
                                   .theta = 5e5,
                                   .epsilon = 1e-5f,
                                   .tied = true};

class SynthesizeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("mokume.") + test->name() + "." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  SynthesizeOptions options(const SyntheticShape& shape, WeightFormat format,
                            const std::string& name) const {
    SynthesizeOptions options;
    options.shape = shape;
    options.format = format;
    options.output = (folder_ / name).string();
    options.threads = 2;
    return options;
  }

  /// Written and read back.
  LoadedModel made(const SyntheticShape& shape, WeightFormat format, const std::string& name) {
    const auto summary = synthesize(options(shape, format, name));
    EXPECT_TRUE(summary.ok()) << summary.status();
    auto loaded = load_model((folder_ / name).string());
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return std::move(loaded).value();
  }

  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::filesystem::path folder_;
};

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Mean square of all values, times the columns: 1 where a vector keeps its variance.
double gain(const Linear& linear) {
  std::vector<float> row(static_cast<size_t>(linear.weight.columns()));
  double sum = 0;
  for (int64_t r = 0; r < linear.weight.rows(); ++r) {
    dequantize_linear_row(linear, r, row);
    for (const float value : row) sum += double{value} * value;
  }
  return sum / static_cast<double>(linear.weight.rows());
}

/// Every projection of the layer.
std::vector<const Linear*> linears(const LayerSpec& layer) {
  std::vector<const Linear*> all;
  if (const auto* a = std::get_if<Attention>(&layer.mixer)) {
    all = {&a->q, &a->k, &a->v, &a->o};
  } else {
    const auto& net = std::get<DeltaNet>(layer.mixer);
    all = {&net.qkv, &net.z, &net.a, &net.b, &net.o};
  }
  const auto& ffn = std::get<SwiGlu>(layer.ffn);
  all.insert(all.end(), {&ffn.gate, &ffn.up, &ffn.down});
  return all;
}

void expect_hybrid(const ModelSpec& spec) {
  ASSERT_EQ(spec.layers.size(), 8u);
  EXPECT_EQ(spec.vocab_size, 700);
  EXPECT_EQ(spec.hidden_size, 256);
  EXPECT_EQ(spec.context_length, 1024);
  EXPECT_FALSE(spec.tied_head);
  for (size_t i = 0; i < 8; ++i) {
    const auto* attention = std::get_if<Attention>(&spec.layers[i].mixer);
    ASSERT_EQ(attention != nullptr, i % 4 == 3) << i;
    if (attention == nullptr) continue;
    EXPECT_EQ(attention->rope.dims, 16);
    EXPECT_TRUE(attention->output_gate);
  }
  const auto& net = std::get<DeltaNet>(spec.layers[0].mixer);
  EXPECT_EQ(net.key_heads, 2);
  EXPECT_EQ(net.value_heads, 4);
  EXPECT_EQ(net.conv_kernel, 4);
  const auto* rates = reinterpret_cast<const float*>(net.decay_rate.data);
  const auto* bias = reinterpret_cast<const float*>(net.dt_bias.data);
  for (int head = 0; head < 4; ++head) {
    EXPECT_LT(rates[head], 0);
    EXPECT_GE(rates[head], -16.001f);
    EXPECT_NEAR(bias[head], 1, 1e-6);
  }
}

struct Case {
  const char* output;
  WeightFormat format;
  DType projection;
};

TEST_F(SynthesizeTest, HybridsInEveryFormat) {
  for (const Case& one : {Case{"nvfp4", WeightFormat::kNvfp4, DType::kE2M1},
                          Case{"int8", WeightFormat::kInt8, DType::kI8},
                          Case{"fp16", WeightFormat::kF16, DType::kF16},
                          Case{"bf16", WeightFormat::kBF16, DType::kBF16},
                          Case{"nvfp4.gguf", WeightFormat::kNvfp4, DType::kNVFP4},
                          Case{"q8_0.gguf", WeightFormat::kQ8_0, DType::kQ8_0},
                          Case{"fp16.gguf", WeightFormat::kF16, DType::kF16}}) {
    SCOPED_TRACE(one.output);
    const LoadedModel loaded = made(kHybrid, one.format, one.output);
    const ModelSpec& spec = loaded.model->spec;
    expect_hybrid(spec);
    EXPECT_EQ(std::get<SwiGlu>(spec.layers[5].ffn).down.weight.dtype, one.projection);
    for (const LayerSpec& layer : spec.layers) {
      for (const Linear* linear : linears(layer)) {
        // A matrix of 4 rows is a small sample.
        const double tolerance = linear->weight.rows() < 16 ? 0.3 : 0.05;
        EXPECT_NEAR(gain(*linear), 1, tolerance) << linear->weight.name;
      }
    }
    EXPECT_NEAR(gain(spec.head), 1, 0.05);
  }
}

TEST_F(SynthesizeTest, LlamasKeepTheirRope) {
  for (const char* output : {"llama", "llama.gguf"}) {
    SCOPED_TRACE(output);
    const LoadedModel loaded = made(kLlama, WeightFormat::kNvfp4, output);
    const ModelSpec& spec = loaded.model->spec;
    EXPECT_TRUE(spec.tied_head);
    ASSERT_EQ(spec.layers.size(), 2u);
    const Rope& rope = std::get<Attention>(spec.layers[1].mixer).rope;
    ASSERT_EQ(rope.inverse_frequencies.size(), 64u);
    // Llama 3.1's scaling: fast pairs as they are, slow ones divided by 8.
    EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], std::pow(5e5, -2.0 / 128));
    EXPECT_NEAR(rope.inverse_frequencies[63] / (std::pow(5e5, -126.0 / 128) / 8), 1, 1e-5);
  }
}

TEST_F(SynthesizeTest, TokenizersAreReadBack) {
  for (const char* output : {"model", "model.gguf"}) {
    SCOPED_TRACE(output);
    const LoadedModel loaded = made(kHybrid, WeightFormat::kNvfp4, output);
    ASSERT_NE(loaded.tokenizer, nullptr);
    EXPECT_EQ(loaded.tokenizer->vocab_size(), 700);
    EXPECT_THAT(loaded.chat_template, HasSubstr("<|im_start|>"));
    const std::string text = "Ah, \xc3\xa9\n 7!";
    const auto ids = loaded.tokenizer->encode(text, {.add_special = true}).value();
    EXPECT_EQ(ids.size(), text.size());
    EXPECT_EQ(loaded.tokenizer->decode(ids, false), text);
    const auto special =
        loaded.tokenizer->encode("<|im_start|>a<|im_end|>", {.parse_special = true}).value();
    EXPECT_EQ(special, (std::vector<TokenId>{698, 'a', 699}));
    EXPECT_TRUE(loaded.tokenizer->is_end_of_generation(699));
    for (TokenId id = 256; id < 697; ++id) {
      const std::string word = loaded.tokenizer->token_bytes(id, false);
      EXPECT_GE(word.size(), 3u) << id;
      EXPECT_EQ(word[0], ' ');
    }
  }
}

TEST_F(SynthesizeTest, TheSameSeedGivesTheSameBytesOnAnyNumberOfThreads) {
  SynthesizeOptions first = options(kHybrid, WeightFormat::kNvfp4, "1.gguf");
  ASSERT_TRUE(synthesize(first).ok());
  SynthesizeOptions second = options(kHybrid, WeightFormat::kNvfp4, "2.gguf");
  second.threads = 1;
  ASSERT_TRUE(synthesize(second).ok());
  EXPECT_EQ(content(first.output), content(second.output));
  SynthesizeOptions third = options(kHybrid, WeightFormat::kNvfp4, "3.gguf");
  third.seed = 1;
  ASSERT_TRUE(synthesize(third).ok());
  EXPECT_NE(content(first.output), content(third.output));
}

TEST_F(SynthesizeTest, FewerLayersAreTheFirstOnes) {
  SynthesizeOptions fewer = options(kHybrid, WeightFormat::kNvfp4, "4");
  fewer.layers = 4;
  ASSERT_TRUE(synthesize(fewer).ok());
  const LoadedModel some = load_model(fewer.output).value();
  const LoadedModel all = made(kHybrid, WeightFormat::kNvfp4, "8");
  ASSERT_EQ(some.model->spec.layers.size(), 4u);
  const TensorView a = std::get<SwiGlu>(some.model->spec.layers[3].ffn).up.weight;
  const TensorView b = std::get<SwiGlu>(all.model->spec.layers[3].ffn).up.weight;
  ASSERT_EQ(a.bytes, b.bytes);
  EXPECT_EQ(std::memcmp(a.data, b.data, a.bytes), 0);
}

TEST_F(SynthesizeTest, ReportsProgressUpToAll) {
  SynthesizeOptions watched = options(kLlama, WeightFormat::kInt8, "model");
  uint64_t last = 0, of = 0;
  watched.progress = [&](uint64_t done, uint64_t total) {
    EXPECT_GE(done, last);
    EXPECT_LE(done, total);
    last = done;
    of = total;
  };
  const auto summary = synthesize(watched);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(of, summary->bytes);
  EXPECT_GT(last, of * 9 / 10);
}

TEST_F(SynthesizeTest, LeavesNothingWhenItCannotBeDone) {
  const auto error = [&](const SynthesizeOptions& wrong) {
    const Status status = synthesize(wrong).status();
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  };
  EXPECT_THAT(error(options(kHybrid, WeightFormat::kQ8_0, "model")), HasSubstr(".gguf"));
  EXPECT_THAT(error(options(kHybrid, WeightFormat::kInt8, "a.gguf")), HasSubstr("directories"));
  SynthesizeOptions wrong = options(kHybrid, WeightFormat::kNvfp4, "model");
  wrong.layers = 9;
  EXPECT_THAT(error(wrong), HasSubstr("must be 4 to 8"));
  wrong.layers = 3;
  EXPECT_THAT(error(wrong), HasSubstr("must be 4 to 8"));
  wrong.layers = 0;
  int asked = 0;
  wrong.cancelled = [&] { return ++asked > 10; };
  EXPECT_THAT(error(wrong), HasSubstr("nothing was written"));
  wrong.output += ".gguf";
  EXPECT_THAT(error(wrong), HasSubstr("nothing was written"));
  EXPECT_THAT(left(), IsEmpty());
  wrong.cancelled = nullptr;
  std::ofstream(wrong.output) << "mine";
  EXPECT_THAT(error(wrong), HasSubstr("there already"));
  EXPECT_EQ(content(wrong.output), "mine");
}

TEST(SyntheticShapes, AreThePublishedOnes) {
  EXPECT_EQ(known_shapes(), "qwen3.5-9b, qwen3.5-0.8b, llama-3.1-8b");
  EXPECT_EQ(find_shape("qwen3.5-9b")->vocab, 248320);
  EXPECT_EQ(find_shape("qwen3.5-0.8b")->value_heads, 16);
  EXPECT_EQ(find_shape("llama-3.1-8b")->ffn, 14336);
  EXPECT_THAT(std::string(find_shape("gpt").status().message()),
              HasSubstr("no shape is called \"gpt\"; there are qwen3.5-9b"));
}

}  // namespace
}  // namespace mokume
