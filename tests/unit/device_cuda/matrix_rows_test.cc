// Rows as the device has them hold the values of the checkpoint's.
#include "device/cuda/matrix_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/layer_tensors.h"
#include "model/linear.h"
#include "model/load_model.h"
#include "tensor/float8.h"
#include "tensor/half.h"

namespace mokume::cuda {
namespace {

template <typename T>
T load(const std::vector<std::byte>& bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// The row that the planes hold, by what kernels/cuda/matrix.h says of them.
std::vector<float> values_of(const Matrix& matrix, const std::vector<std::byte>& data,
                             const std::vector<std::byte>& scales,
                             const std::vector<std::byte>& minimums) {
  std::vector<float> values(static_cast<size_t>(matrix.columns));
  const auto half = [](const std::vector<std::byte>& plane, size_t index) {
    return half_to_float(load<uint16_t>(plane, index));
  };
  const auto nibble = [&](size_t k) {
    const int byte = std::to_integer<int>(data[k / 32 * 16 + k % 16]);
    return k % 32 < 16 ? byte & 15 : byte >> 4;
  };
  for (size_t k = 0; k < values.size(); ++k) {
    switch (matrix.format) {
      case Format::kF32:
        values[k] = load<float>(data, k);
        break;
      case Format::kF16:
        values[k] = half(data, k);
        break;
      case Format::kBF16:
        values[k] = bfloat16_to_float(load<uint16_t>(data, k));
        break;
      case Format::kF8:
        values[k] = e4m3_to_float(load<uint8_t>(data, k)) * load<float>(scales, 0);
        break;
      case Format::kInt8:
        values[k] = static_cast<float>(load<int8_t>(data, k)) * load<float>(scales, 0);
        break;
      case Format::kQ8:
        values[k] = static_cast<float>(load<int8_t>(data, k)) * half(scales, k / 32);
        break;
      case Format::kQ4:
        values[k] = static_cast<float>(nibble(k) - 8) * half(scales, k / 32);
        break;
      case Format::kQ4Min:
        values[k] = static_cast<float>(nibble(k)) * half(scales, k / 32) + half(minimums, k / 32);
        break;
      case Format::kNvfp4:
        values[k] =
            e2m1_to_float(nibble(k)) * e4m3_to_float(load<uint8_t>(scales, k / 16)) * matrix.factor;
        break;
    }
  }
  return values;
}

/// The largest error of a row over the row's largest value.
double row_error(const Linear& linear, Format format, int64_t row) {
  const Matrix matrix = matrix_of(linear, format);
  const RowBytes bytes = row_bytes(format, matrix.columns);
  std::vector<std::byte> data(bytes.data), scales(bytes.scales), minimums(bytes.minimums);
  EXPECT_TRUE(write_row(linear, format, row, {data.data(), scales.data(), minimums.data()}));
  std::vector<float> want(static_cast<size_t>(matrix.columns));
  dequantize_linear_row(linear, row, want);
  const std::vector<float> values = values_of(matrix, data, scales, minimums);
  double error = 0, largest = 1e-30;
  for (size_t k = 0; k < want.size(); ++k) {
    error = std::max(error, std::fabs(double{values[k]} - want[k]));
    largest = std::max(largest, std::fabs(double{want[k]}));
  }
  return error / largest;
}

struct Case {
  const char* path;
  double fast_error;  ///< 0: to the bit, but for the order of the factors
};

class MatrixRows : public testing::TestWithParam<Case> {};

TEST_P(MatrixRows, HoldTheCheckpointsValues) {
  const auto loaded = load_model(std::string(MOKUME_SOURCE_DIR "/tests/data/") + GetParam().path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  for (const LayerSpec& layer : loaded->model->spec.layers) {
    for (const Linear* linear : layer_linears(layer)) {
      for (bool exact : {true, false}) {
        ASSERT_TRUE(check_linear(*linear, "f").ok());
        const auto format = device_format(linear->weight, exact);
        ASSERT_TRUE(format.ok()) << format.status();
        const double most = exact ? 2e-7 : std::max(2e-7, GetParam().fast_error);
        for (int64_t row : {int64_t{0}, int64_t{3}, linear->weight.rows() - 1}) {
          EXPECT_LE(row_error(*linear, *format, row), most) << linear->weight.name << " " << row;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, MatrixRows,
    testing::Values(Case{"gguf/tiny-llama.gguf", 0}, Case{"gguf/wide-llama-F16.gguf", 0},
                    Case{"gguf/wide-llama-BF16.gguf", 0}, Case{"gguf/wide-llama-Q8_0.gguf", 0},
                    Case{"gguf/wide-llama-Q4_0.gguf", 0}, Case{"gguf/wide-llama-Q4_1.gguf", 0},
                    Case{"gguf/wide-llama-Q5_0.gguf", 0}, Case{"gguf/wide-llama-Q5_1.gguf", 5e-4},
                    Case{"gguf/wide-llama-Q4_K_M.gguf", 2e-3},
                    Case{"gguf/wide-llama-Q5_K_M.gguf", 5e-4},
                    Case{"gguf/wide-llama-Q6_K.gguf", 5e-4}, Case{"gguf/wide-llama-IQ4_NL.gguf", 0},
                    Case{"gguf/wide-llama-MXFP4.gguf", 0}, Case{"gguf/wide-llama-NVFP4.gguf", 0},
                    Case{"hf/tiny-qwen3-int8", 0}, Case{"hf/tiny-qwen3-nvfp4", 0},
                    Case{"hf/tiny-qwen3-modelopt", 0}, Case{"hf/tiny-qwen3_5-nvfp4", 0}),
    [](const auto& test) {
      std::string name = test.param.path;
      for (char& c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      }
      return name;
    });

/// A matrix of `columns`, with nothing in it.
Linear linear_of(DType type, int64_t columns, std::vector<std::byte>& bytes) {
  bytes.resize(static_cast<size_t>(2 * *mokume::row_bytes(type, static_cast<uint64_t>(columns))));
  Linear linear;
  linear.weight.name = "w";
  linear.weight.data = bytes.data();
  linear.weight.bytes = bytes.size();
  linear.weight.dtype = type;
  linear.weight.rank = 2;
  linear.weight.shape = {2, columns};
  return linear;
}

TEST(MatrixFormats, RowsThatAFormatCannotHaveBecomeF32) {
  std::vector<std::byte> bytes;
  EXPECT_EQ(*device_format(linear_of(DType::kI8, 64, bytes).weight, true), Format::kInt8);
  EXPECT_EQ(*device_format(linear_of(DType::kI8, 36, bytes).weight, true), Format::kF32);
  EXPECT_EQ(*device_format(linear_of(DType::kE2M1, 48, bytes).weight, false), Format::kF32);
  const Status status = device_format(linear_of(DType::kF16, 6, bytes).weight, false).status();
  EXPECT_EQ(status.message(), "[cuda] tensor w [2, 6] F16 has rows that are no multiple of 4 long");
}

TEST(MatrixFormats, ScalesMustCoverTheWeight) {
  std::vector<std::byte> bytes;
  const Linear linear = linear_of(DType::kI8, 64, bytes);
  EXPECT_EQ(check_linear(linear, "f").message(),
            "[cuda] tensor w [2, 64] I8 needs 2 scales of type F32, and has none");
}

TEST(MatrixFormats, NansAreFound) {
  std::vector<std::byte> bytes;
  Linear linear = linear_of(DType::kF8_E4M3, 32, bytes);
  const float ones[2] = {1, 1};
  linear.scales.data = reinterpret_cast<const std::byte*>(ones);
  linear.scales.bytes = sizeof(ones);
  linear.scales.rank = 1;
  linear.scales.shape = {2};
  std::vector<std::byte> data(32), scales(4);
  bytes[32 + 5] = std::byte{0xff};
  EXPECT_TRUE(write_row(linear, Format::kF8, 0, {data.data(), scales.data(), nullptr}));
  EXPECT_FALSE(write_row(linear, Format::kF8, 1, {data.data(), scales.data(), nullptr}));
}

}  // namespace
}  // namespace mokume::cuda
