// What must not happen: half an output, an overwritten one, numbers that a type cannot hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "quantize_test.h"

namespace mokume {
namespace {

using testing::checkpoint;
using ::testing::ElementsAre;
using testing::FileSizeLimit;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::QuantizeTest;

using Failures = QuantizeTest;

std::string source() { return checkpoint("hf", "tiny-llama"); }

std::string message(const Result<QuantizeSummary>& result) {
  return std::string(result.status().message());
}

TEST_F(Failures, RefusesToOverwrite) {
  std::ofstream(path("out.gguf")) << "precious";
  std::filesystem::create_directory(path("out"));
  std::ofstream(path("out/file")) << "precious";
  for (const char* name : {"out.gguf", "out"}) {
    const auto result = run(source(), path(name), WeightFormat::kF16);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(message(result), HasSubstr(path(name)));
  }
  EXPECT_THAT(files(), ElementsAre("out", "out.gguf"));
  EXPECT_EQ(std::filesystem::file_size(path("out.gguf")), 8u);
}

TEST_F(Failures, AFullDiskLeavesNothing) {
  const FileSizeLimit limit(64 << 10);
  for (const char* name : {"out.gguf", "out"}) {
    const auto result = run(source(), path(name), WeightFormat::kF16);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Failures, NoPlaceToWriteTo) {
  std::ofstream(path("file")) << "no directory";
  for (const char* name : {"file/out.gguf", "file/out", "missing/out.gguf", "missing/out"}) {
    EXPECT_FALSE(run(source(), path(name), WeightFormat::kF16).ok()) << name;
  }
  EXPECT_THAT(files(), ElementsAre("file"));
}

TEST_F(Failures, StoppedLeavesNothing) {
  for (const char* name : {"out.gguf", "out"}) {
    QuantizeOptions options;
    options.input = source();
    options.output = path(name);
    options.format = WeightFormat::kNvfp4;
    int asked = 0;
    options.cancelled = [&] { return ++asked > 5; };
    EXPECT_EQ(run(options).status().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(asked, 6);
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Failures, AnEncoderThatFails) {
  QuantizeOptions options;
  options.input = source();
  options.output = path("out");
  options.format = WeightFormat::kInt8;
  options.encoder = [](const EncodeJob& job) -> Result<EncodedMatrix> {
    if (job.part.layer == 2) return internal_error("test", "no");
    return encode_plainly(job);
  };
  EXPECT_EQ(message(run(options)), "[test] no");
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Failures, FormatsThatAContainerHasNot) {
  EXPECT_THAT(message(run(source(), path("out"), WeightFormat::kQ8_0)), HasSubstr(".gguf"));
  EXPECT_THAT(message(run(source(), path("out.gguf"), WeightFormat::kInt8)),
              HasSubstr("directories"));
  EXPECT_FALSE(run(source(), path("out"), WeightFormat::kKeep).ok());
  EXPECT_THAT(files(), IsEmpty());
}

/// The model of a checkpoint with one number replaced.
class Patched : public QuantizeTest {
 protected:
  Result<QuantizeSummary> run_with(float number, WeightFormat format) {
    auto model = load_model(source());
    EXPECT_TRUE(model.ok());
    ModelSpec spec = model->model->spec;
    TensorView& view = std::get<Attention>(spec.layers[1].mixer).k.weight;
    values_.resize(view.bytes / sizeof(float));
    std::memcpy(values_.data(), view.data, view.bytes);
    values_[70] = number;
    view.data = reinterpret_cast<const std::byte*>(values_.data());
    LoadedModel patched = *model;
    patched.model = std::make_shared<const Model>(Model{std::move(spec), model->model->weights});
    QuantizeOptions options;
    options.input = source();
    options.output = path("out");
    options.format = format;
    return quantize(options, patched);
  }

 private:
  std::vector<float> values_;
};

TEST_F(Patched, NumbersThatAreNotFinite) {
  for (const WeightFormat format :
       {WeightFormat::kF16, WeightFormat::kInt8, WeightFormat::kNvfp4}) {
    const auto result = run_with(std::numeric_limits<float>::quiet_NaN(), format);
    EXPECT_THAT(message(result), HasSubstr("model.layers.1.self_attn.k_proj.weight"));
    EXPECT_THAT(message(result), HasSubstr("row 1"));
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Patched, NumbersThatHalvesCannotHold) {
  EXPECT_THAT(message(run_with(1e6f, WeightFormat::kF16)), HasSubstr("too large for F16"));
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_TRUE(run_with(1e6f, WeightFormat::kBF16).ok());
}

}  // namespace
}  // namespace mokume
