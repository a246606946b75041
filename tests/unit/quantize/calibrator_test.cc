// A checkpoint calibrated on tokens, written, and run beside the one rounded plainly.
#include "quantize/calibrator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "device/cpu/cpu_device.h"
#include "model/load_model.h"
#include "quantize/quantize.h"

namespace mokume {
namespace {

using Names = std::vector<std::string>;

LoadedModel load(const std::string& path) {
  auto loaded = load_model(path);
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.value_or(LoadedModel{});
}

std::string data_file(const std::string& name) { return MOKUME_SOURCE_DIR "/tests/data/" + name; }

class CalibratorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    CpuDeviceOptions options;
    options.threads = 2;
    device_ = make_cpu_device(options).value();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::vector<int32_t> ids(int count, int vocabulary, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<int32_t> list(static_cast<size_t>(count));
    for (int32_t& id : list)
      id = static_cast<int32_t>(random() % static_cast<unsigned>(vocabulary));
    return list;
  }

  std::string quantized(const LoadedModel& model, const std::string& name, Encoder encoder) {
    QuantizeOptions options;
    options.input = data_file("gguf/wide-llama-F16.gguf");
    options.output = folder_ + "/" + name;
    options.format = WeightFormat::kNvfp4;
    options.encoder = std::move(encoder);
    const auto summary = quantize(options, model);
    EXPECT_TRUE(summary.ok()) << summary.status();
    return options.output;
  }

  std::vector<float> hidden_after_all_layers(const LoadedModel& model,
                                             std::span<const int32_t> tokens) {
    auto runner = LayerRunner::create(*model.model, *device_, tokens, 64).value();
    for (size_t i = 0; i < model.model->spec.layers.size(); ++i) {
      EXPECT_TRUE(runner.run(model.model, static_cast<int>(i), {}, true).ok());
    }
    return {runner.hidden().begin(), runner.hidden().end()};
  }

  const std::string folder_ = ::testing::TempDir() + "mokume_calibrator";
  std::unique_ptr<Device> device_;
};

double error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

TEST_F(CalibratorTest, StagesShowWhatGoesIntoTheirLinears) {
  const LoadedModel model = load(data_file("gguf/tiny-llama.gguf"));
  auto runner =
      LayerRunner::create(*model.model, *device_, ids(20, model.model->spec.vocab_size, 1), 16)
          .value();
  std::vector<Names> seen;
  const std::vector<float> before(runner.hidden().begin(), runner.hidden().end());
  const auto observe = [&](const LinearInputs& inputs) {
    Names names;
    for (const Linear* linear : inputs.linears) {
      names.push_back(linear->weight.name);
      EXPECT_EQ(inputs.x.size(), static_cast<size_t>(inputs.tokens * linear->weight.columns()));
    }
    seen.push_back(names);
    return true;
  };
  ASSERT_TRUE(runner.run(model.model, 1, observe, false).ok());
  const std::vector<Names> layer = {
      {"blk.1.attn_q.weight", "blk.1.attn_k.weight", "blk.1.attn_v.weight"},
      {"blk.1.attn_output.weight"},
      {"blk.1.ffn_gate.weight", "blk.1.ffn_up.weight"},
      {"blk.1.ffn_down.weight"}};
  std::vector<Names> twice = layer;  // 20 tokens in sequences of 16
  twice.insert(twice.end(), layer.begin(), layer.end());
  EXPECT_EQ(seen, twice);
  EXPECT_EQ(before, std::vector<float>(runner.hidden().begin(), runner.hidden().end()));
}

TEST_F(CalibratorTest, ObserversEndAStepAndSeeWhatProductsAreAddedTo) {
  const LoadedModel model = load(data_file("gguf/tiny-llama.gguf"));
  const auto tokens = ids(20, model.model->spec.vocab_size, 1);
  auto runner = LayerRunner::create(*model.model, *device_, tokens, 16).value();
  const std::vector<float> before(runner.hidden().begin(), runner.hidden().end());
  int calls = 0;
  std::vector<float> added_to;
  const auto observe = [&](const LinearInputs& inputs) {
    ++calls;
    added_to.insert(added_to.end(), inputs.added_to.begin(), inputs.added_to.end());
    return inputs.added_to.empty();  // q, k, v; the attention's output is the last to be seen
  };
  ASSERT_TRUE(runner.run(model.model, 1, observe, false).ok());
  EXPECT_EQ(calls, 4);  // two sequences
  EXPECT_EQ(added_to, before);
}

TEST_F(CalibratorTest, AnswersAreCloserThanPlainlyRounded) {
  const LoadedModel model = load(data_file("gguf/wide-llama-F16.gguf"));
  const int vocabulary = model.model->spec.vocab_size;
  auto calibrator =
      Calibrator::create(model.model, *device_, ids(6000, vocabulary, 1), {64, 0.01, 2});
  ASSERT_TRUE(calibrator.ok()) << calibrator.status();
  const auto with = [&](const EncodeJob& job) { return calibrator->encode(job); };
  const LoadedModel calibrated = load(quantized(model, "calibrated", with));
  const LoadedModel plain = load(quantized(model, "plain", encode_plainly));
  // Random tokens on random weights have little that a calibration could use; texts have more.
  const auto test = ids(3000, vocabulary, 2);
  const auto expected = hidden_after_all_layers(model, test);
  const double ratio = error(hidden_after_all_layers(calibrated, test), expected) /
                       error(hidden_after_all_layers(plain, test), expected);
  EXPECT_LT(ratio, 0.9);
}

TEST_F(CalibratorTest, GgufHasTheSameNumbersAsTheDirectory) {
  const LoadedModel model = load(data_file("gguf/wide-llama-F16.gguf"));
  const auto tokens = ids(300, model.model->spec.vocab_size, 1);
  std::vector<std::vector<float>> hidden;
  for (const std::string name : {"directory", "file.gguf"}) {  // q and k have other orders of rows
    auto calibrator = Calibrator::create(model.model, *device_, tokens, {64, 0.01, 2});
    ASSERT_TRUE(calibrator.ok());
    const auto with = [&](const EncodeJob& job) { return calibrator->encode(job); };
    hidden.push_back(hidden_after_all_layers(load(quantized(model, name, with)), tokens));
  }
  // The embedding is Q8_0 in one and F16 in the other.
  EXPECT_LT(error(hidden[0], hidden[1]),
            0.1 * error(hidden[0], std::vector<float>(hidden[0].size())));
}

TEST_F(CalibratorTest, RefusesWhatCannotBeCalibratedOn) {
  const LoadedModel model = load(data_file("gguf/tiny-llama.gguf"));
  EXPECT_FALSE(Calibrator::create(model.model, *device_, {}, {}).ok());
  const std::vector<int32_t> foreign = {1, model.model->spec.vocab_size};
  EXPECT_FALSE(Calibrator::create(model.model, *device_, foreign, {}).ok());
}

}  // namespace
}  // namespace mokume
