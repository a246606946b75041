// Blocks whose values can be told by hand.
#include "tensor/dequantize_block.h"

#include <gtest/gtest.h>

#include <vector>

namespace mokume {
namespace {

/// A block with the half 2.0 at `halves`.
class Block {
 public:
  explicit Block(DType type, std::initializer_list<size_t> halves = {}) : type_(type) {
    bytes.resize(static_cast<size_t>(dtype_info(type).block_bytes));
    for (const size_t at : halves) bytes[at + 1] = 0x40;
  }
  std::vector<float> values() const {
    std::vector<float> out(static_cast<size_t>(dtype_info(type_).block_elements), 99.0f);
    dequantize_block(type_, reinterpret_cast<const std::byte*>(bytes.data()), out.data());
    return out;
  }
  std::vector<uint8_t> bytes;

 private:
  DType type_;
};

TEST(DequantizeBlock, Q5_0) {
  Block block(DType::kQ5_0, {0});
  block.bytes[2] = 0x02;  // fifth bit of element 1
  block.bytes[5] = 0x80;  // and of element 31
  block.bytes[6 + 1] = 0x03;
  block.bytes[6 + 15] = 0x40;
  const auto values = block.values();
  EXPECT_EQ(values[0], -32);
  EXPECT_EQ(values[1], 2 * (19 - 16));
  EXPECT_EQ(values[15], -32);
  EXPECT_EQ(values[31], 2 * (20 - 16));
}

TEST(DequantizeBlock, Q5_1) {
  Block block(DType::kQ5_1, {0, 2});
  block.bytes[6] = 0x01;  // fifth bit of element 16
  block.bytes[8] = 0x95;
  const auto values = block.values();
  EXPECT_EQ(values[0], 2 * 5 + 2);
  EXPECT_EQ(values[16], 2 * 25 + 2);
  EXPECT_EQ(values[31], 2);
}

TEST(DequantizeBlock, Q4_KSplitsTheLastScalesOverTwoBytes) {
  Block block(DType::kQ4_K, {0, 2});
  block.bytes[4 + 1] = 0x83;         // scale 1 = 3; scale 5's upper bits = 2
  block.bytes[4 + 5] = 0x47;         // minimum 1 = 7; minimum 5's upper bits = 1
  block.bytes[4 + 9] = 0xb4;         // scale 5 = 36, minimum 5 = 27
  block.bytes[16 + 4] = 0x60;        // element 4 of group 1
  block.bytes[16 + 64 + 31] = 0xf0;  // element 31 of group 5
  const auto values = block.values();
  EXPECT_EQ(values[0], 0);
  EXPECT_EQ(values[32 + 4], 2 * 3 * 6 - 2 * 7);
  EXPECT_EQ(values[32 + 5], -2 * 7);
  EXPECT_EQ(values[5 * 32 + 31], 2 * 36 * 15 - 2 * 27);
}

TEST(DequantizeBlock, Q5_K) {
  Block block(DType::kQ5_K, {0, 2});
  block.bytes[4 + 10] = 0x01;  // scale 6 = 1
  block.bytes[16 + 9] = 0x40;  // fifth bit of element 9 of group 6
  block.bytes[48 + 96 + 9] = 0x0d;
  const auto values = block.values();
  EXPECT_EQ(values[6 * 32 + 9], 2 * 29);
  EXPECT_EQ(values[6 * 32 + 10], 0);
  EXPECT_EQ(values[7 * 32 + 9], 0);
}

TEST(DequantizeBlock, Q6_K) {
  Block block(DType::kQ6_K, {208});
  block.bytes[192 + 8 + 6] = 0xfd;      // scale -3 of elements 224..239
  block.bytes[64 + 32 + 1] = 0x50;      // low bits 5 of element 128 + 96 + 1
  block.bytes[128 + 32 + 1] = 3u << 6;  // high bits 3
  const auto values = block.values();
  EXPECT_EQ(values[225], 2 * -3 * (5 + 48 - 32));
  EXPECT_EQ(values[226], 2 * -3 * -32);
  EXPECT_EQ(values[97], 0);
}

TEST(DequantizeBlock, Iq4Nl) {
  Block block(DType::kIQ4_NL, {0});
  block.bytes[2] = 0xf0;
  const auto values = block.values();
  EXPECT_EQ(values[0], -254);
  EXPECT_EQ(values[16], 226);
}

TEST(DequantizeBlock, Mxfp4AtEveryEndOfItsScale) {
  Block block(DType::kMXFP4);
  block.bytes[1] = 0x71;
  block.bytes[2] = 0x9f;
  for (const auto& [e, one] : {std::pair{127, 1.0f}, {130, 8.0f}, {0, 0x1p-127f}, {1, 0x1p-126f}}) {
    block.bytes[0] = static_cast<uint8_t>(e);
    const auto values = block.values();
    EXPECT_EQ(values[0], 0.5f * one) << e;
    EXPECT_EQ(values[16], 6 * one) << e;
    EXPECT_EQ(values[1], -6 * one) << e;
    EXPECT_EQ(values[17], -0.5f * one) << e;
  }
}

TEST(DequantizeBlock, Nvfp4) {
  Block block(DType::kNVFP4);
  const std::vector<uint8_t> scales = {0x38, 0x7e, 0x01, 0x7f};  // 1, 448, 2^-9, none
  std::copy(scales.begin(), scales.end(), block.bytes.begin());
  for (size_t i = 4; i < block.bytes.size(); ++i) block.bytes[i] = 0xa3;
  const auto values = block.values();
  const float expected[] = {1, 448, 0x1p-9f, 0};
  for (size_t g = 0; g < 4; ++g) {
    EXPECT_EQ(values[g * 16], 1.5f * expected[g]);
    EXPECT_EQ(values[g * 16 + 7], 1.5f * expected[g]);
    EXPECT_EQ(values[g * 16 + 8], -expected[g]);
    EXPECT_EQ(values[g * 16 + 15], -expected[g]);
  }
}

}  // namespace
}  // namespace mokume
