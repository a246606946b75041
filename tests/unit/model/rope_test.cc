#include "model/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/gguf_rope.h"
#include "small_llama.h"

namespace mokume {
namespace {

using mokume::testing::SmallLlama;

TEST(Rope, Plain) {
  const Rope rope = make_rope({.dims = 8, .interleaved = true, .base = 10000});
  EXPECT_EQ(rope.dims, 8);
  EXPECT_TRUE(rope.interleaved);
  EXPECT_EQ(rope.magnitude, 1);
  ASSERT_EQ(rope.inverse_frequencies.size(), 4u);
  const float expected[] = {1, 0.1f, 0.01f, 0.001f};
  for (int i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(rope.inverse_frequencies[i], expected[i]);
}

TEST(Rope, LinearDividesEveryFrequency) {
  RopeScaling scaling{.type = RopeScaling::Type::kLinear, .factor = 4};
  const Rope rope = make_rope({.dims = 4, .base = 100, .scaling = scaling});
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[0], 0.25f);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.025f);
  EXPECT_EQ(rope.magnitude, 1);
}

TEST(Rope, DivisorsDivideOneByOne) {
  const std::vector<float> divisors = {1, 8};
  const Rope rope = make_rope({.dims = 4, .base = 100, .divisors = divisors});
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[0], 1);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.1f / 8);
}

// Expected: pairs up to floor(find(32)) keep their frequency, from ceil(find(1)) on it is divided
// by the factor, and between them it is blended linearly, where find(r) = dims ln(context / (2 pi
// r)) / (2 ln base).
TEST(Rope, Yarn) {
  RopeScaling scaling{.type = RopeScaling::Type::kYarn, .factor = 4, .original_context = 32768};
  const Rope rope = make_rope({.dims = 128, .base = 1e6, .scaling = scaling});
  EXPECT_FLOAT_EQ(rope.magnitude, 1.1386294f);
  // find(32) = 23.59..., find(1) = 39.64...
  for (int i = 0; i < 64; ++i) {
    const double own = std::pow(1e6, -i / 64.0);
    double expected = own;
    if (i >= 40) expected = own / 4;
    if (i > 23 && i < 40) {
      const double scaled = (i - 23) / 17.0;
      expected = own / 4 * scaled + own * (1 - scaled);
    }
    EXPECT_NEAR(rope.inverse_frequencies[i] / expected, 1, 1e-6) << i;
  }
}

Rope load(SmallLlama llama) {
  const auto file = GgufFile::from_bytes(llama.build(), "small").value();
  Checkpoint checkpoint(*file, "llama");
  return load_gguf_rope(checkpoint, 4, 64, true).value();
}

TEST(GgufRope, DefaultsAreThoseOfLlama) {
  const Rope rope = load({});
  EXPECT_EQ(rope.dims, 4);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.01f);
}

TEST(GgufRope, KeysAndTensor) {
  SmallLlama llama;
  llama.builder.f32("llama.rope.freq_base", 100).f32("llama.rope.scaling.factor", 2);
  llama.builder.u32("llama.rope.dimension_count", 4);
  const float divisors[] = {1, 5};
  std::vector<std::byte> bytes(8);
  std::memcpy(bytes.data(), divisors, 8);
  llama.builder.tensor("rope_freqs.weight", {2}, 0, bytes);
  const Rope rope = load(llama);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[0], 0.5f);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.01f);
}

TEST(GgufRope, YarnTakesTheModelsContextUnlessTheFileSaysAnother) {
  SmallLlama llama;
  llama.builder.text("llama.rope.scaling.type", "yarn").f32("llama.rope.scaling.factor", 2);
  EXPECT_FLOAT_EQ(load(llama).magnitude, 1.0693147f);
  // Context 64: find(32) < 0 and find(1) = 0.50, so pair 1 is scaled in full.
  EXPECT_FLOAT_EQ(load(llama).inverse_frequencies[1], 0.005f);
  llama.builder.u32("llama.rope.scaling.original_context_length", 1 << 20);
  // find(32) = 1.86, so pair 1 keeps its own.
  EXPECT_FLOAT_EQ(load(llama).inverse_frequencies[1], 0.01f);
}

}  // namespace
}  // namespace mokume
