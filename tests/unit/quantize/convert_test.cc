// What is written against what others wrote: llama.cpp's converter for GGUF, transformers for
// directories. The checkpoints of tests/data come in both forms, with the same weights.
#include <gtest/gtest.h>

#include <cmath>

#include "quantize/quantize.h"
#include "quantize_test.h"
#include "tensor/half.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace mokume {
namespace {

using testing::checkpoint;
using testing::QuantizeTest;

/// All values of a tensor, its rows one after the other.
std::vector<float> values_of(const WeightSource& source, const std::string& name) {
  const auto view = source.tensor(name);
  EXPECT_TRUE(view.ok()) << view.status();
  if (!view.ok()) return {};
  std::vector<float> values;
  std::vector<float> row(static_cast<size_t>(view->columns()));
  for (int64_t i = 0; i < view->rows(); ++i) {
    dequantize_row(*view, i, row);
    values.insert(values.end(), row.begin(), row.end());
  }
  return values;
}

bool is_matrix(const TensorView& view) { return view.rank == 2; }

/// `written` has the tensors of `expected` (F32), matrices rounded to F16 once.
void expect_same(const WeightSource& written, const WeightSource& expected) {
  EXPECT_EQ(written.names().size(), expected.names().size());
  for (const std::string& name : expected.names()) {
    ASSERT_TRUE(written.contains(name)) << name;
    const TensorView wanted = *expected.tensor(name), found = *written.tensor(name);
    ASSERT_EQ(found.rank, wanted.rank) << name;
    ASSERT_EQ(found.shape, wanted.shape) << name;
    const bool half = found.dtype == DType::kF16;
    EXPECT_TRUE(half ? is_matrix(wanted) : found.dtype == DType::kF32) << name;
    const std::vector<float> a = values_of(written, name), b = values_of(expected, name);
    for (size_t i = 0; i < b.size(); ++i) {
      const float exact = half ? half_to_float(float_to_half(b[i])) : b[i];
      // Adding 1 to a norm and taking it away, or log and exp, round.
      const float tolerance = half ? 0 : 5e-7f * std::max(1.f, std::abs(exact));
      ASSERT_NEAR(a[i], exact, tolerance) << name << " at " << i;
    }
  }
}

class Convert : public QuantizeTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(Convert, DirectoryToGgufAsLlamaCppDoes) {
  const std::string out = path("out.gguf");
  ASSERT_TRUE(run(checkpoint("hf", GetParam()), out, WeightFormat::kF16).ok());
  const auto written = GgufFile::open(out);
  const auto expected = GgufFile::open(checkpoint("gguf", std::string(GetParam()) + ".gguf"));
  ASSERT_TRUE(written.ok() && expected.ok());
  expect_same(**written, **expected);
  for (const std::string& key : (*expected)->metadata_keys()) {
    if (key == "general.file_type" || key == "general.name" || key == "general.size_label")
      continue;
    // Written where heads do not have the usual size only.
    ASSERT_NE((*written)->metadata(key), nullptr) << key;
    EXPECT_EQ(*(*written)->metadata(key), *(*expected)->metadata(key)) << key;
  }
}

TEST_P(Convert, GgufToDirectoryAsTransformersHasIt) {
  const std::string out = path("out");
  ASSERT_TRUE(
      run(checkpoint("gguf", std::string(GetParam()) + ".gguf"), out, WeightFormat::kF16).ok());
  const auto written = open_safetensors_directory(out);
  const auto expected = open_safetensors_directory(checkpoint("hf", GetParam()));
  ASSERT_TRUE(written.ok() && expected.ok());
  expect_same(**written, **expected);
}

TEST_P(Convert, ConfigurationSaysTheSameModel) {
  for (const char* name : {"out", "out.gguf"}) {
    ASSERT_TRUE(run(checkpoint("hf", GetParam()), path(name), WeightFormat::kBF16).ok());
    const auto source = load_model(checkpoint("hf", GetParam()));
    const auto written = load_model(path(name));
    ASSERT_TRUE(written.ok()) << written.status();
    const ModelSpec& a = source->model->spec;
    const ModelSpec& b = written->model->spec;
    EXPECT_EQ(a.architecture, b.architecture);
    EXPECT_EQ(a.context_length, b.context_length);
    EXPECT_EQ(a.tied_head, b.tied_head);
    ASSERT_EQ(a.layers.size(), b.layers.size());
    for (size_t i = 0; i < a.layers.size(); ++i) {
      EXPECT_EQ(a.layers[i].mixer_norm.epsilon, b.layers[i].mixer_norm.epsilon);
      ASSERT_EQ(a.layers[i].mixer.index(), b.layers[i].mixer.index()) << i;
      const auto* attention = std::get_if<Attention>(&a.layers[i].mixer);
      if (attention == nullptr) continue;
      const auto& other = std::get<Attention>(b.layers[i].mixer);
      EXPECT_EQ(attention->rope.dims, other.rope.dims);
      EXPECT_EQ(attention->rope.inverse_frequencies, other.rope.inverse_frequencies);
      EXPECT_EQ(attention->rope.magnitude, other.rope.magnitude);
      EXPECT_EQ(attention->output_gate, other.output_gate);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Convert,
                         ::testing::Values("tiny-llama", "tiny-qwen2", "tiny-qwen3",
                                           "tiny-qwen3_5"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace mokume
