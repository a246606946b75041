// Our kernels or a library: what the library computes, and which of them is taken.
#include "device/cpu/product_engines.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/common/half.h"

namespace mokume {
namespace {

using kernels::Format;
constexpr int kRows = SliceProduct::kRows, kTokens = SliceProduct::kTokens;

/// Values that the format holds exactly.
std::vector<float> values_of(Format format, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) {
    value = normal(random);
    if (format == Format::kBF16)
      value = kernels::bfloat16_to_float(kernels::float_to_bfloat16(value));
  }
  return values;
}

std::vector<uint8_t> elements_of(Format format, const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size() * (format == Format::kF32 ? 4 : 2));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = kernels::float_to_bfloat16(values[i]);
    if (format == Format::kF32) std::memcpy(&bytes[i * 4], &values[i], 4);
    if (format == Format::kBF16) std::memcpy(&bytes[i * 2], &half, 2);
  }
  return bytes;
}

class OnednnProducts : public testing::TestWithParam<Format> {
 protected:
  void SetUp() override {
    if (!slice_product_library()) GTEST_SKIP() << "this build has no oneDNN";
    if (!make_onednn_product(format, 64, 1))
      GTEST_SKIP() << slice_product_library() << " does not multiply it on this machine";
  }
  const Format format = GetParam();
};

INSTANTIATE_TEST_SUITE_P(Formats, OnednnProducts, testing::Values(Format::kF32, Format::kBF16),
                         [](const auto& test) {
                           return test.param == Format::kF32 ? "F32" : "BF16";
                         });

TEST_P(OnednnProducts, MatchSumsInDoubleAndDoNotDependOnTheRowsBeside) {
  for (const int columns : {1, 2, 31, 64, 257, 576, 1536}) {
    const auto product = make_onednn_product(format, columns, 2);
    ASSERT_TRUE(product) << columns;
    const auto weights = values_of(format, static_cast<size_t>(kRows) * columns, 1);
    const auto x = values_of(format, static_cast<size_t>(kTokens) * columns, 2);
    const auto x_elements = elements_of(format, x);
    std::vector<uint8_t> storage(product->slice_bytes() + 64);
    auto* slice = storage.data() + (64 - reinterpret_cast<uintptr_t>(storage.data()) % 64);
    ASSERT_TRUE(product->pack(elements_of(format, weights).data(), slice).ok());
    std::vector<float> all(kTokens * kRows), some(kRows * 64);
    ASSERT_TRUE(product->multiply(0, slice, x_elements.data(), kTokens, all.data()));
    for (int t = 0; t < kTokens; ++t) {
      for (int r = 0; r < kRows; ++r) {
        double sum = 0, weight = 1e-6;
        for (int k = 0; k < columns; ++k) {
          const double term = double{weights[r * columns + k]} * x[t * columns + k];
          sum += term;
          weight += std::fabs(term);
        }
        ASSERT_NEAR(all[t * kRows + r], sum, 3e-6 * weight) << columns << ": " << t << ", " << r;
      }
    }
    for (const int count : {1, 2, 3, 7, 8, 17, 63}) {
      const int first = kTokens - count;
      const size_t at = static_cast<size_t>(first) * columns * x_elements.size() / x.size();
      ASSERT_TRUE(product->multiply(1, slice, x_elements.data() + at, count, some.data()));
      EXPECT_EQ(std::memcmp(some.data(), &all[static_cast<size_t>(first) * kRows],
                            static_cast<size_t>(count) * kRows * sizeof(float)),
                0)
          << columns << " columns, " << count << " rows";
    }
  }
}

TEST(ProductEngines, NeverTakeTheLibraryWhereItIsNotWanted) {
  ProductEngines engines(kernels::best_cpu_kernels(), 2, ProductEngines::Use::kKernels);
  EXPECT_EQ(engines.choose(Format::kBF16, 64, 64), nullptr);
}

TEST(ProductEngines, LeaveTheOtherFormatsToTheKernels) {
  ProductEngines engines(kernels::best_cpu_kernels(), 2, ProductEngines::Use::kLibrary);
  for (const Format format : {Format::kF16, Format::kF8, Format::kQ8_0, Format::kInt8})
    EXPECT_EQ(engines.choose(format, 64, 64), nullptr);
}

TEST(ProductEngines, MakeAProductOnceForAFormatAndAWidth) {
  if (!slice_product_library()) GTEST_SKIP() << "this build has no oneDNN";
  ProductEngines engines(kernels::best_cpu_kernels(), 2, ProductEngines::Use::kLibrary);
  const SliceProduct* first = engines.choose(Format::kF32, 64, 96);
  ASSERT_TRUE(first);
  EXPECT_EQ(engines.choose(Format::kF32, 1000, 96), first);
  EXPECT_NE(engines.choose(Format::kF32, 64, 128), first);
}

TEST(ProductEngines, RememberWhatWasFaster) {
  ProductEngines one(kernels::best_cpu_kernels(), 1, ProductEngines::Use::kFaster);
  ProductEngines other(kernels::best_cpu_kernels(), 2, ProductEngines::Use::kFaster);
  for (const Format format : {Format::kF32, Format::kBF16}) {
    EXPECT_EQ(one.choose(format, 100, 160) == nullptr, other.choose(format, 100, 160) == nullptr);
  }
}

TEST(ProductEngines, TheLibraryWinsByAClearGainThatOneTokenDoesNotPayFor) {
  EngineTimes times;
  times.kernels = {1.0, 10.0};
  times.library = {1.0, 5.0};
  EXPECT_TRUE(times.library_wins());
  times.library = {1.0, 9.5};
  EXPECT_FALSE(times.library_wins()) << "near a draw the choice would change from start to start";
  times.library = {2.0, 5.0};
  EXPECT_FALSE(times.library_wins()) << "one token takes twice as long";
}

}  // namespace
}  // namespace mokume
