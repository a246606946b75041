// What works on words of two 16-bit elements: tensor cores, and arithmetic of halves.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/common/half.h"
#include "tests/simt/harness.h"

namespace mokume::cuda::host {
namespace {

using simt::Device;

// d = a b for a [16][16], b [16][8] of 16 bits, in the layout that portable_gpu.cuh tells.
void multiply(const uint16_t* a, const uint16_t* b, float* d, bool halves) {
  wait_for_previous();
  const int g = lane_id() / 4, t = lane_id() % 4;
  const auto pair = [](Ptr<const uint16_t> p, int first, int second) {
    const uint16_t low = p[first], high = p[second];
    return low | (static_cast<uint32_t>(high) << 16);
  };
  const Ptr<const uint16_t> left = global(a), right = global(b);
  uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const int at = (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
    fa[i] = pair(left, at, at + 1);
  }
  for (int i = 0; i < 2; ++i) {
    const int row = 2 * t + i * 8;
    fb[i] = pair(right, row * 8 + g, (row + 1) * 8 + g);
  }
  float sums[4] = {0.5f, 0.5f, 0.5f, 0.5f};
  if (halves) {
    mma_f16(sums, fa, fb);
  } else {
    mma_bf16(sums, fa, fb);
  }
  for (int i = 0; i < 4; ++i) global(d)[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

TEST(Mma, AddsProductsOfEveryLane) {
  for (const bool halves : {true, false}) {
    std::vector<uint16_t> a(256), b(128);
    const auto value = [](size_t i) { return static_cast<float>(i * 7 % 11) - 5; };
    const auto bits = [&](size_t i) {
      return halves ? kernels::float_to_half(value(i)) : kernels::float_to_bfloat16(value(i));
    };
    for (size_t i = 0; i < a.size(); ++i) a[i] = bits(i);
    for (size_t i = 0; i < b.size(); ++i) b[i] = bits(i + 3);
    Device device;
    float* d = device.empty<float>(128);
    ASSERT_EQ(device.run(multiply, {1}, 32, 0, device.put(a), device.put(b), d, halves), "");
    for (size_t row = 0; row < 16; ++row) {
      for (size_t column = 0; column < 8; ++column) {
        float expected = 0.5f;
        for (size_t k = 0; k < 16; ++k) {
          expected += value(row * 16 + k) * value(k * 8 + column + 3);
        }
        EXPECT_EQ(d[row * 8 + column], expected) << row << ' ' << column;
      }
    }
  }
}

// d = a b for a [16][64], b [64][8] of E2M1 codes with scales [16][4] and [4][8], a byte each.
void multiply_nvfp4(const uint8_t* a, const uint8_t* b, const uint8_t* a_scales,
                    const uint8_t* b_scales, float* d) {
  wait_for_previous();
  const int g = lane_id() / 4, t = lane_id() % 4;
  const auto word = [](Ptr<const uint8_t> codes, int first, int step) {
    uint32_t all = 0;
    for (int i = 0; i < 8; ++i) {
      const uint8_t code = codes[first + i * step];
      all |= static_cast<uint32_t>(code) << (4 * i);
    }
    return all;
  };
  uint32_t fa[4], fb[2], sa = 0, sb = 0;
  for (int i = 0; i < 4; ++i) fa[i] = word(global(a), (g + i % 2 * 8) * 64 + 8 * t + i / 2 * 32, 1);
  for (int i = 0; i < 2; ++i) fb[i] = word(global(b), (8 * t + i * 32) * 8 + g, 8);
  for (int k = 0; k < 4; ++k) {  // what no lane is to read is garbage
    const uint8_t of_a = global(a_scales)[(g + t % 2 * 8) * 4 + k],
                  of_b = global(b_scales)[k * 8 + g];
    sa |= static_cast<uint32_t>(t < 2 ? of_a : 0x7e) << (8 * k);
    sb |= static_cast<uint32_t>(t < 1 ? of_b : 0x7e) << (8 * k);
  }
  float sums[4] = {0.5f, 0.5f, 0.5f, 0.5f};
  mma_nvfp4(sums, fa, fb, sa, sb);
  for (int i = 0; i < 4; ++i) global(d)[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

TEST(Mma, AddsProductsOfNvfp4) {
  static constexpr float kE2m1[8] = {0, .5f, 1, 1.5f, 2, 3, 4, 6};
  std::vector<uint8_t> a(16 * 64), b(64 * 8), a_scales(64), b_scales(32);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<uint8_t>(i * 7 % 16);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<uint8_t>((i * 5 + i / 16) % 16);
  // E4M3 of 1 .. 4 (codes 0x38, 0x40, 0x44, 0x48)
  const uint8_t codes[4] = {0x38, 0x40, 0x44, 0x48};
  for (size_t i = 0; i < a_scales.size(); ++i) a_scales[i] = codes[(i + i / 4) % 4];
  for (size_t i = 0; i < b_scales.size(); ++i) b_scales[i] = codes[i * 3 / 2 % 4];
  const auto value = [](uint8_t code) { return code & 8 ? -kE2m1[code & 7] : kE2m1[code]; };
  const auto scale = [&](uint8_t code) {
    return static_cast<float>(std::find(codes, codes + 4, code) - codes + 1);
  };
  Device device;
  float* d = device.empty<float>(128);
  ASSERT_EQ(device.run(multiply_nvfp4, {1}, 32, 0, device.put(a), device.put(b),
                       device.put(a_scales), device.put(b_scales), d),
            "");
  for (size_t row = 0; row < 16; ++row) {
    for (size_t column = 0; column < 8; ++column) {
      float expected = 0.5f;
      for (size_t k = 0; k < 64; ++k) {
        expected += value(a[row * 64 + k]) * scale(a_scales[row * 4 + k / 16]) *
                    value(b[k * 8 + column]) * scale(b_scales[k / 16 * 8 + column]);
      }
      EXPECT_EQ(d[row * 8 + column], expected) << row << ' ' << column;
    }
  }
}

TEST(Halves, AreRoundedOnce) {
  const uint32_t third = pack_half(1.0f / 3, -3.0f);
  EXPECT_EQ(third, 0xc2003555u);
  EXPECT_EQ(add_half(third, pack_half(1.0f, 3.0f)), pack_half(0x1.555p0f, 0.0f));
  EXPECT_EQ(multiply_half(pack_half(3.0f, -0x1p-20f), pack_half(0.5f, 0x1p-4f)),
            pack_half(1.5f, -0x1p-24f));
  // The product alone would round to 1.
  EXPECT_EQ(madd_half(pack_half(1 + 0x1p-10f, 2), pack_half(1 - 0x1p-10f, 3), pack_half(-1, 1)),
            pack_half(-0x1p-20f, 7));
}

void find_largest(const uint32_t* values, uint32_t* out) {
  wait_for_previous();
  const uint32_t mine = global(values)[thread_x()];
  const uint32_t largest = warp_max_bits(mine);
  global(out)[thread_x()] = largest;
}

TEST(Warps, FindTheirLargestWord) {
  std::vector<uint32_t> values(64, 7);
  values[31] = 0xfffffff0u;
  values[40] = 9;
  Device device;
  auto* out = device.empty<uint32_t>(64);
  ASSERT_EQ(device.run(find_largest, {1}, 64, 0, device.put(values), out), "");
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], i < 32 ? 0xfffffff0u : 9u);
}

}  // namespace
}  // namespace mokume::cuda::host
