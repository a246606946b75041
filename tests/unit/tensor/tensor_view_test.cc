#include "tensor/tensor_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace mokume {
namespace {

using ::testing::ElementsAre;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

/// A [rows, columns] tensor over `bytes`.
TensorView view_of(const std::vector<uint8_t>& bytes, DType dtype, int64_t rows, int64_t columns) {
  TensorView view;
  view.data = reinterpret_cast<const std::byte*>(bytes.data());
  view.bytes = bytes.size();
  view.dtype = dtype;
  view.rank = 2;
  view.shape = {rows, columns};
  return view;
}

std::vector<float> row(const TensorView& view, int64_t index) {
  std::vector<float> values(view.columns());
  dequantize_row(view, index, values);
  return values;
}

TEST(DType, RowBytes) {
  EXPECT_EQ(row_bytes(DType::kF32, 3), 12u);
  EXPECT_EQ(row_bytes(DType::kBF16, 3), 6u);
  EXPECT_EQ(row_bytes(DType::kQ8_0, 64), 68u);
  EXPECT_EQ(row_bytes(DType::kQ4_0, 64), 36u);
  EXPECT_EQ(row_bytes(DType::kQ4_1, 64), 40u);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 512), 420u);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 128), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kNVFP4, 128), 72u);
  EXPECT_EQ(row_bytes(DType::kQ4_1, 48), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kF32, kMax), std::nullopt);
  EXPECT_EQ(row_bytes(DType::kQ8_0, kMax - 31), std::nullopt);
}

TEST(TensorView, RowsColumnsAndText) {
  TensorView view;
  EXPECT_FALSE(view);
  view.dtype = DType::kQ8_0;
  view.rank = 3;
  view.shape = {2, 5, 64};
  EXPECT_EQ(view.rows(), 10);
  EXPECT_EQ(view.columns(), 64);
  EXPECT_EQ(to_string(view), "[2, 5, 64] Q8_0");
  view.rank = 1;
  view.shape = {7};
  EXPECT_EQ(view.rows(), 1);
  EXPECT_EQ(view.columns(), 7);
}

TEST(Dequantize, Floats) {
  const std::vector<uint8_t> f32 = {0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc1};
  EXPECT_THAT(row(view_of(f32, DType::kF32, 2, 1), 1), ElementsAre(-10.0f));
  const std::vector<uint8_t> f16 = {0x00, 0x3c, 0x01, 0x00, 0x00, 0xc9, 0x55, 0x35};
  EXPECT_THAT(row(view_of(f16, DType::kF16, 2, 2), 0), ElementsAre(1.0f, 0x1p-24f));
  EXPECT_THAT(row(view_of(f16, DType::kF16, 2, 2), 1), ElementsAre(-10.0f, 0x1.554p-2f));
  const std::vector<uint8_t> bf16 = {0x80, 0x3f, 0x20, 0xc1};
  EXPECT_THAT(row(view_of(bf16, DType::kBF16, 1, 2), 0), ElementsAre(1.0f, -10.0f));
}

TEST(Dequantize, Q8_0TakesTheSecondRowsSecondBlock) {
  std::vector<uint8_t> bytes(4 * 34);
  uint8_t* block = bytes.data() + 3 * 34;
  block[1] = 0x38;  // 0.5
  for (int j = 0; j < 32; ++j) block[2 + j] = static_cast<uint8_t>(j * 8 - 128);
  const std::vector<float> values = row(view_of(bytes, DType::kQ8_0, 2, 64), 1);
  for (int j = 0; j < 32; ++j) {
    EXPECT_EQ(values[j], 0.0f);
    EXPECT_EQ(values[32 + j], (j * 8 - 128) * 0.5f) << j;
  }
}

TEST(Dequantize, Q4_0) {
  std::vector<uint8_t> bytes(18);
  bytes[1] = 0x40;  // 2
  for (int j = 0; j < 16; ++j) bytes[2 + j] = static_cast<uint8_t>(j | (15 - j) << 4);
  const std::vector<float> values = row(view_of(bytes, DType::kQ4_0, 1, 32), 0);
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(values[j], 2.0f * (j - 8)) << j;
    EXPECT_EQ(values[j + 16], 2.0f * (7 - j)) << j;
  }
}

TEST(Dequantize, Q4_1) {
  std::vector<uint8_t> bytes(20);
  bytes[1] = 0x40;  // 2
  bytes[3] = 0xc9;  // -10
  for (int j = 0; j < 16; ++j) bytes[4 + j] = static_cast<uint8_t>(j | (15 - j) << 4);
  const std::vector<float> values = row(view_of(bytes, DType::kQ4_1, 1, 32), 0);
  for (int j = 0; j < 16; ++j) {
    EXPECT_EQ(values[j], 2.0f * j - 10) << j;
    EXPECT_EQ(values[j + 16], 2.0f * (15 - j) - 10) << j;
  }
}

}  // namespace
}  // namespace mokume
