#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/kernels/cases.h"

namespace mokume::kernels {
namespace {

struct Shape {
  int heads, kv_heads, head_dim, page_tokens;
};

// Groups of 1 to 8 query heads, head dims that are no power of two.
constexpr Shape kShapes[] = {{1, 1, 16, 16},   {9, 3, 64, 16},  {8, 2, 48, 32},
                             {4, 4, 128, 64},  {5, 1, 256, 16}, {7, 1, 80, 16},
                             {16, 2, 112, 48}, {6, 3, 32, 256}, {2, 1, 512, 16}};
constexpr KvType kTypes[] = {KvType::kF32, KvType::kF16, KvType::kBF16, KvType::kInt16,
                             KvType::kInt8};
const char* const kTypeNames[] = {"F32", "F16", "BF16", "INT16", "INT8"};

/// What keeping and multiplying numbers of a type may cost: the rms error of the result, in rms
/// results, for queries, keys and values of a normal distribution. Integer products round at 2^-16
/// of a row's length (2^-13 of its elements), which the other types add their own rounding to.
double bound(KvType type) {
  switch (type) {
    case KvType::kF32:
      return 2e-6;
    case KvType::kF16:
      return 1e-3;
    case KvType::kBF16:
      return 6e-3;
    case KvType::kInt16:
      return 8e-4;
    case KvType::kInt8:
      return 2e-2;
  }
  return 0;
}

/// Numbers of `count` positions.
struct Inputs {
  Shape shape;
  int count;
  std::vector<float> q, k, v;

  Inputs(Shape s, int positions)
      : shape(s),
        count(positions),
        q(random_floats(static_cast<size_t>(count) * s.heads * s.head_dim, 1)),
        k(random_floats(static_cast<size_t>(count) * s.kv_heads * s.head_dim, 2)),
        v(random_floats(static_cast<size_t>(count) * s.kv_heads * s.head_dim, 3)) {}

  float scale() const { return 1 / std::sqrt(static_cast<float>(shape.head_dim)); }

  /// Attention of tokens [begin, end) in double precision.
  std::vector<double> reference(int begin, int end) const {
    const int dim = shape.head_dim;
    std::vector<double> out, scores(static_cast<size_t>(end));
    for (int t = begin; t < end; ++t) {
      for (int h = 0; h < shape.heads; ++h) {
        const int kv_head = h / (shape.heads / shape.kv_heads);
        const auto at = [&](const std::vector<float>& rows, int p) {
          return &rows[(static_cast<size_t>(p) * shape.kv_heads + kv_head) * dim];
        };
        const float* query = &q[(static_cast<size_t>(t) * shape.heads + h) * dim];
        for (int p = 0; p <= t; ++p) {
          scores[p] = scale() * std::inner_product(query, query + dim, at(k, p), 0.0);
        }
        const double peak = *std::max_element(scores.begin(), scores.begin() + t + 1);
        double total = 0;
        std::vector<double> sums(static_cast<size_t>(dim));
        for (int p = 0; p <= t; ++p) {
          const double weight = std::exp(scores[p] - peak);
          total += weight;
          for (int d = 0; d < dim; ++d) sums[d] += weight * at(v, p)[d];
        }
        for (double sum : sums) out.push_back(sum / total);
      }
    }
    return out;
  }
};

/// The inputs' sequence, whose pages lie scattered in a pool full of NaN.
struct Sequence {
  const Inputs& in;
  KvType type;
  std::vector<int32_t> pages;
  Aligned<float> keys, values;  // large enough for any element type
  std::vector<float> key_scales, value_scales;

  Sequence(const Inputs& inputs, KvType kv_type)
      : in(inputs),
        type(kv_type),
        pages((inputs.count + in.shape.page_tokens - 1) / in.shape.page_tokens),
        keys(pool_scales() * in.shape.head_dim),
        values(pool_scales() * in.shape.head_dim),
        key_scales(pool_scales(), std::nanf("")),
        value_scales(pool_scales(), std::nanf("")) {
    std::iota(pages.rbegin(), pages.rend(), 1);
    std::shuffle(pages.begin(), pages.end(), std::mt19937(5));
    std::fill_n(keys.data, pool_scales() * in.shape.head_dim, std::nanf(""));
    std::fill_n(values.data, pool_scales() * in.shape.head_dim, std::nanf(""));
  }

  size_t pool_scales() const {
    return (pages.size() + 2) * static_cast<size_t>(in.shape.page_tokens) * in.shape.kv_heads;
  }
  KvPages kv() {
    return {keys.data, values.data,          key_scales.data(), value_scales.data(),
            type,      in.shape.page_tokens, in.shape.kv_heads, in.shape.head_dim};
  }
  void append(const CpuKernels& kernels, int begin, int end) {
    const size_t row = static_cast<size_t>(in.shape.kv_heads) * in.shape.head_dim;
    for (int p = begin; p < end; ++p) {
      kernels.kv_append(kv(), pages[p / in.shape.page_tokens], p % in.shape.page_tokens,
                        &in.k[p * row], &in.v[p * row]);
    }
  }
  size_t row() const { return static_cast<size_t>(in.shape.heads) * in.shape.head_dim; }
  AttentionArgs args(int begin, std::vector<float>& out) {
    return {&in.q[begin * row()], row(), out.data(),   row(), in.shape.heads,
            in.scale(),           begin, pages.data(), kv()};
  }
  std::vector<float> attend(const CpuKernels& kernels, int begin, int end) {
    std::vector<float> out((end - begin) * row());
    for (int h = 0; h < in.shape.kv_heads; ++h)
      kernels.attention(args(begin, out), h, 0, end - begin);
    return out;
  }
  /// The same from parts of the context, the last one first.
  std::vector<float> attend_in_parts(const CpuKernels& kernels, int begin, int end) {
    std::vector<float> out((end - begin) * row());
    const size_t part = (end - begin) * static_cast<size_t>(in.shape.heads / in.shape.kv_heads) *
                        attention_state_floats(in.shape.head_dim);
    const int last = (end - 1) / kAttentionPart;
    std::vector<float> states(part * (last + 1), std::nanf(""));
    const AttentionStates all{states.data(), part};
    for (int h = 0; h < in.shape.kv_heads; ++h) {
      for (int p = last; p >= 0; --p)
        kernels.attention_part(args(begin, out), h, 0, end - begin, p, all);
      kernels.attention_merge(args(begin, out), h, 0, end - begin, all);
    }
    return out;
  }
};

void expect_close(const std::vector<float>& actual, const std::vector<double>& expected,
                  KvType type, const Shape& shape) {
  ASSERT_EQ(actual.size(), expected.size());
  double errors = 0, squares = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    errors += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    squares += expected[i] * expected[i];
  }
  EXPECT_LE(std::sqrt(errors / squares), bound(type))  // false for NaN
      << kTypeNames[static_cast<int>(type)] << " heads " << shape.heads << " head_dim "
      << shape.head_dim << " values " << actual.size();
}

class AttentionTest : public testing::TestWithParam<Isa> {
 protected:
  const CpuKernels& kernels = *cpu_kernels(GetParam());
  /// The scalar reference takes its time: fewer positions, but past the first part where it is
  /// cheap.
  int length(const Shape& shape) const {
    if (shape.head_dim == 16) return 2 * kAttentionPart + 41;
    return GetParam() == Isa::kScalar ? 75 : kAttentionPart + 41;
  }
};

INSTANTIATE_TEST_SUITE_P(AllIsas, AttentionTest, testing::ValuesIn(machine_isas()),
                         [](const auto& test) { return isa_name(test.param); });

TEST_P(AttentionTest, IsCloseToDoublePrecision) {
  for (const Shape& shape : kShapes) {
    for (int count : {1, 2, 15, 16, 17, 33, 64, 65, 100}) {
      const Inputs inputs(shape, count);
      const auto expected = inputs.reference(0, count);
      for (KvType type : kTypes) {
        Sequence sequence(inputs, type);
        sequence.append(kernels, 0, count);
        expect_close(sequence.attend(kernels, 0, count), expected, type, shape);
      }
    }
  }
}

TEST_P(AttentionTest, IsCloseToDoublePrecisionInALongContext) {
  constexpr int kLength = 5003;
  for (const Shape& shape : {kShapes[1], kShapes[5]}) {
    const Inputs inputs(shape, kLength);
    const auto expected = inputs.reference(kLength - 3, kLength);
    for (KvType type : kTypes) {
      Sequence sequence(inputs, type);
      sequence.append(kernels, 0, kLength);
      expect_close(sequence.attend(kernels, kLength - 3, kLength), expected, type, shape);
    }
  }
}

// Scores far apart, rows of zeros, and numbers that are large or tiny beside others.
TEST_P(AttentionTest, IsCloseWhereNumbersAreUneven) {
  for (const Shape& shape : {kShapes[1], kShapes[2]}) {
    Inputs inputs(shape, 100);
    const size_t row = static_cast<size_t>(shape.kv_heads) * shape.head_dim;
    for (int p = 0; p < inputs.count; ++p) {
      for (size_t i = 0; i < row; ++i) {
        inputs.v[p * row + i] *= p % 7 == 0 ? 0.0f : std::exp2(static_cast<float>(p % 11) - 8);
        inputs.k[p * row + i] *= p % 5 == 0 ? 0.0f : static_cast<float>(p % 3);
        if (i % 16 == 3) inputs.k[p * row + i] *= 8;
      }
    }
    std::fill_n(inputs.q.begin(), 3 * shape.heads * shape.head_dim, 0.0f);
    const auto expected = inputs.reference(0, 100);
    for (KvType type : {KvType::kF32, KvType::kF16, KvType::kInt16}) {
      Sequence sequence(inputs, type);
      sequence.append(kernels, 0, 100);
      const auto actual = sequence.attend(kernels, 0, 100);
      double errors = 0, squares = 0;
      for (size_t i = 0; i < actual.size(); ++i) {
        errors += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        squares += expected[i] * expected[i];
      }
      // The largest scores are near 100 here, and errors in them go into an exponent.
      EXPECT_LE(std::sqrt(errors / squares), 8 * bound(type))
          << kTypeNames[static_cast<int>(type)] << " head_dim " << shape.head_dim;
    }
  }
}

// Prompt cut at any place, and one token at a time: the same bits, and pages beyond the sequence
// are never read (they hold NaN).
TEST_P(AttentionTest, DoesNotDependOnTheChunks) {
  for (const Shape& shape : kShapes) {
    const int count = length(shape);
    const Inputs inputs(shape, count);
    for (KvType type : kTypes) {
      Sequence whole(inputs, type);
      whole.append(kernels, 0, count);
      const auto expected = whole.attend(kernels, 0, count);
      for (int chunk : {1, 7, 64}) {
        Sequence cut(inputs, type);
        std::vector<float> actual;
        for (int begin = 0; begin < count; begin += chunk) {
          const int end = std::min(count, begin + chunk);
          cut.append(kernels, begin, end);
          const auto part = cut.attend(kernels, begin, end);
          actual.insert(actual.end(), part.begin(), part.end());
        }
        ASSERT_EQ(actual, expected) << "chunk " << chunk << " head_dim " << shape.head_dim;
      }
    }
  }
}

TEST_P(AttentionTest, PartsOfTheContextGiveTheSame) {
  for (const Shape& shape : kShapes) {
    const int count = length(shape);
    const Inputs inputs(shape, count);
    for (KvType type : kTypes) {
      Sequence sequence(inputs, type);
      sequence.append(kernels, 0, count);
      for (const auto& [begin, end] : {std::pair{count - 1, count}, {count - 45, count}, {0, 70}}) {
        ASSERT_EQ(sequence.attend_in_parts(kernels, begin, end),
                  sequence.attend(kernels, begin, end))
            << kTypeNames[static_cast<int>(type)] << " head_dim " << shape.head_dim;
      }
    }
  }
}

}  // namespace
}  // namespace mokume::kernels
