#include <gtest/gtest.h>

#include <numeric>

#include "tests/kernels/cases.h"

namespace mokume::kernels {
namespace {

struct Shape {
  int heads, kv_heads, head_dim, page_tokens;
};

constexpr Shape kShapes[] = {
    {1, 1, 16, 16}, {9, 3, 64, 16}, {8, 2, 48, 32}, {4, 4, 128, 64}, {5, 1, 256, 16}};

/// A sequence of `length` positions whose pages lie scattered in a pool full of garbage.
struct Sequence {
  Shape shape;
  bool exact;
  int length;
  std::vector<float> q, k, v;
  std::vector<int32_t> pages;
  Aligned<float> keys, values;  // large enough for either element type

  Sequence(Shape s, bool is_exact, int count)
      : shape(s),
        exact(is_exact),
        length(count),
        q(random_floats(static_cast<size_t>(count) * s.heads * s.head_dim, 1)),
        k(random_floats(static_cast<size_t>(count) * s.kv_heads * s.head_dim, 2)),
        v(random_floats(static_cast<size_t>(count) * s.kv_heads * s.head_dim, 3)),
        pages((count + s.page_tokens - 1) / s.page_tokens),
        keys(pool_elements()),
        values(pool_elements()) {
    std::iota(pages.rbegin(), pages.rend(), 1);  // last page first
    std::fill_n(keys.data, pool_elements(), std::nanf(""));
    std::fill_n(values.data, pool_elements(), std::nanf(""));
  }

  size_t pool_elements() const {
    return (pages.size() + 2) * static_cast<size_t>(shape.page_tokens) * shape.kv_heads *
           shape.head_dim;
  }
  KvPages kv() const {
    return {keys.data, values.data, exact, shape.page_tokens, shape.kv_heads, shape.head_dim};
  }
  void append(const CpuKernels& kernels, int begin, int end) const {
    const size_t row = static_cast<size_t>(shape.kv_heads) * shape.head_dim;
    for (int p = begin; p < end; ++p) {
      kernels.kv_append(kv(), pages[p / shape.page_tokens], p % shape.page_tokens, &k[p * row],
                        &v[p * row]);
    }
  }
  std::vector<float> attend(const CpuKernels& kernels, int begin, int end) const {
    const size_t row = static_cast<size_t>(shape.heads) * shape.head_dim;
    std::vector<float> out((end - begin) * row);
    const AttentionArgs args{&q[begin * row], row,   out.data(),   row, shape.heads,
                             0.125f,          begin, pages.data(), kv()};
    for (int h = 0; h < shape.kv_heads; ++h) kernels.attention(args, h, 0, end - begin);
    return out;
  }
};

class AttentionTest : public testing::TestWithParam<Isa> {
 protected:
  const CpuKernels& kernels = *cpu_kernels(GetParam());
};

INSTANTIATE_TEST_SUITE_P(AllIsas, AttentionTest, testing::ValuesIn(machine_isas()),
                         [](const auto& test) { return isa_name(test.param); });

TEST_P(AttentionTest, MatchesTheScalarReference) {
  for (const Shape& shape : kShapes) {
    for (bool exact : {true, false}) {
      for (int length : {1, 2, 15, 16, 17, 33, 100}) {
        const Sequence expected(shape, exact, length), actual(shape, exact, length);
        expected.append(*cpu_kernels(Isa::kScalar), 0, length);
        actual.append(kernels, 0, length);
        const auto a = expected.attend(*cpu_kernels(Isa::kScalar), 0, length);
        const auto b = actual.attend(kernels, 0, length);
        for (size_t i = 0; i < a.size(); ++i) {
          ASSERT_NEAR(b[i], a[i], 2e-5)
              << "head_dim " << shape.head_dim << " length " << length << " exact " << exact;
        }
      }
    }
  }
}

// Prompt cut at any place, and one token at a time: the same bits, and pages beyond the sequence
// are never read (they hold NaN).
TEST_P(AttentionTest, DoesNotDependOnTheChunks) {
  constexpr int kLength = 75;
  for (const Shape& shape : kShapes) {
    for (bool exact : {true, false}) {
      const Sequence whole(shape, exact, kLength);
      whole.append(kernels, 0, kLength);
      const auto expected = whole.attend(kernels, 0, kLength);
      for (int chunk : {1, 7, 16, 64}) {
        const Sequence cut(shape, exact, kLength);
        std::vector<float> actual;
        for (int begin = 0; begin < kLength; begin += chunk) {
          const int end = std::min(kLength, begin + chunk);
          cut.append(kernels, begin, end);
          const auto part = cut.attend(kernels, begin, end);
          actual.insert(actual.end(), part.begin(), part.end());
        }
        ASSERT_EQ(actual, expected) << "chunk " << chunk << " head_dim " << shape.head_dim;
      }
    }
  }
}

}  // namespace
}  // namespace mokume::kernels
