// Quantized output, read back: exactly what the row encoders give for the source's rows.
#include <gtest/gtest.h>

#include <cstring>

#include "model/linear.h"
#include "quantize/part.h"
#include "quantize_test.h"
#include "tensor/float8.h"
#include "tensor/half.h"
#include "weights/encode.h"
#include "weights/safetensors.h"

namespace mokume {
namespace {

using testing::checkpoint;
using testing::QuantizeTest;

std::vector<float> row_of(const Linear& linear, int64_t row) {
  std::vector<float> values(static_cast<size_t>(linear.weight.columns()));
  dequantize_linear_row(linear, row, values);
  return values;
}

float largest_of(const Linear& linear) {
  float largest = 0;
  for (int64_t i = 0; i < linear.weight.rows(); ++i) {
    for (const float x : row_of(linear, i)) largest = std::max(largest, std::abs(x));
  }
  return largest;
}

std::vector<float> through_int8(const std::vector<float>& row) {
  std::vector<int8_t> values(row.size());
  const float scale = encode_int8_row(row, values);
  std::vector<float> out(row.size());
  for (size_t i = 0; i < row.size(); ++i) out[i] = static_cast<float>(values[i]) * scale;
  return out;
}

/// `divide`: the tensor's scale divides those of groups, otherwise its inverse multiplies.
std::vector<float> through_nvfp4(const std::vector<float>& row, float divisor, bool divide) {
  std::vector<uint8_t> values(row.size() / 2), scales(row.size() / 16);
  encode_nvfp4_row(row, divisor, values, scales);
  std::vector<float> out(row.size());
  const float whole = 1 / divisor;
  for (size_t i = 0; i < row.size(); ++i) {
    const float element = e2m1_to_float(values[i / 2] >> (i % 2 * 4) & 15);
    const float scale = e4m3_to_float(scales[i / 16]);
    out[i] = divide ? element * (scale / divisor) : element * scale * whole;
  }
  return out;
}

std::vector<float> through_f16(const std::vector<float>& row) {
  std::vector<float> out;
  for (const float x : row) out.push_back(half_to_float(float_to_half(x)));
  return out;
}

std::vector<float> through_q8_0(const std::vector<float>& row) {
  std::vector<uint8_t> blocks(row.size() / 32 * 34);
  encode_q8_0_row(row, blocks);
  TensorView view;
  view.data = reinterpret_cast<const std::byte*>(blocks.data());
  view.bytes = blocks.size();
  view.dtype = DType::kQ8_0;
  view.rank = 2;
  view.shape = {1, static_cast<int64_t>(row.size())};
  std::vector<float> out(row.size());
  dequantize_row(view, 0, out);
  return out;
}

std::vector<float> expected_row(const Part& source, const Part& written, int64_t row) {
  const std::vector<float> values = row_of(source.linear, row);
  switch (written.linear.weight.dtype) {
    case DType::kI8:
      return through_int8(values);
    case DType::kE2M1:
      return through_nvfp4(values, nvfp4_divisor(largest_of(source.linear)), true);
    case DType::kNVFP4:
      return through_nvfp4(values, nvfp4_divisor(largest_of(source.linear)), false);
    case DType::kQ8_0:
      return through_q8_0(values);
    default:
      return through_f16(values);
  }
}

struct Case {
  const char* name;
  WeightFormat format;
  const char* output;
  DType projection;
  DType embedding;
};

class Formats : public QuantizeTest, public ::testing::WithParamInterface<Case> {};

/// From directories in HF's order to directories, and within GGUF: nothing is reordered on the way.
TEST_P(Formats, ReadsBackWhatTheEncodersGave) {
  const Case& c = GetParam();
  const bool gguf = std::string(c.output).ends_with(".gguf");
  for (const char* name : {"tiny-qwen3", "tiny-qwen3_5"}) {
    const std::string input =
        gguf ? checkpoint("gguf", std::string(name) + ".gguf") : checkpoint("hf", name);
    const std::string output = path(std::string(name) + c.output);
    ASSERT_TRUE(run(input, output, c.format).ok());
    const auto source = load_model(input), written = load_model(output);
    ASSERT_TRUE(written.ok()) << written.status();
    const std::vector<Part> a = parts_of(source->model->spec), b = parts_of(written->model->spec);
    ASSERT_EQ(a.size(), b.size());
    bool seen = false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!a[i].is_matrix()) continue;
      const TensorView& weight = b[i].linear.weight;
      if (a[i].role == Role::kQ) {
        EXPECT_EQ(weight.dtype, c.projection) << weight.name;
      }
      if (a[i].role == Role::kEmbedding) {
        EXPECT_EQ(weight.dtype, c.embedding) << weight.name;
      }
      if (a[i].role == Role::kDeltaA) {
        EXPECT_EQ(weight.dtype, DType::kF16) << weight.name;
      }
      seen = seen || weight.dtype == c.projection;
      for (int64_t row = 0; row < weight.rows(); row += 7) {
        ASSERT_EQ(row_of(b[i].linear, row), expected_row(a[i], b[i], row))
            << weight.name << " row " << row;
      }
    }
    EXPECT_TRUE(seen);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Formats,
    ::testing::Values(Case{"int8", WeightFormat::kInt8, "", DType::kI8, DType::kF16},
                      Case{"nvfp4", WeightFormat::kNvfp4, "", DType::kE2M1, DType::kF16},
                      Case{"q8_0", WeightFormat::kQ8_0, ".gguf", DType::kQ8_0, DType::kQ8_0},
                      Case{"nvfp4_gguf", WeightFormat::kNvfp4, ".gguf", DType::kNVFP4,
                           DType::kQ8_0}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace mokume
