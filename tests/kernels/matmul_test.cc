#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/kernels/cases.h"

namespace mokume::kernels {
namespace {

struct Case {
  Isa isa;
  WeightType type;
};

std::vector<Case> cases_of(bool only_quantized) {
  std::vector<Case> cases;
  for (Isa isa : machine_isas()) {
    for (const WeightType& type : kWeightTypes) {
      if (is_quantized(type.format) || !only_quantized) cases.push_back({isa, type});
    }
  }
  return cases;
}

class Matmul : public testing::TestWithParam<Case> {
 protected:
  const CpuKernels& kernels = *cpu_kernels(GetParam().isa);
  const WeightType type = GetParam().type;

  std::vector<int> column_counts() const {
    if (type.columns == 256) return {256, 512, 768};
    if (type.columns == 64) return {64, 128, 576};
    if (type.columns == 16) return {16, 32, 80, 576};
    return type.columns == 32 ? std::vector{32, 64, 96, 576} : std::vector{1, 2, 31, 64, 257};
  }
};

std::string case_name(const testing::TestParamInfo<Case>& test) {
  return isa_name(test.param.isa) + "_" + test.param.type.name;
}

class QuantizedMatmul : public Matmul {};

INSTANTIATE_TEST_SUITE_P(AllIsas, Matmul, testing::ValuesIn(cases_of(false)), case_name);
INSTANTIATE_TEST_SUITE_P(AllIsas, QuantizedMatmul, testing::ValuesIn(cases_of(true)), case_name);

constexpr int kRows[] = {1, 15, 16, 17, 48};
// The last ones are enough for the ways through the kernels that are meant for many.
constexpr int kTokens[] = {1, 2, 3, 7, 8, 9, 17, 22};

/// What the sum's terms weigh in all: rounding errors are a small share of it.
double weight_of(const PackedMatrix& w, const float* x, int n) {
  double sum = 1e-6;
  for (int k = 0; k < w.columns; ++k) sum += std::fabs(double{packed_value(w, n, k)} * x[k]);
  return sum;
}

// The packed layout holds what the file's layout says, by an independent reading of the latter.
TEST_P(Matmul, PackingKeepsEveryValue) {
  for (int columns : column_counts()) {
    const MadeMatrix source = random_matrix(type, 19, columns, 5);
    const Packed packed(type, 19, columns, source);
    std::vector<float> row(static_cast<size_t>(columns));
    for (int n = 0; n < 19; ++n) {
      unpack_row(packed.matrix, n, row.data());
      for (int k = 0; k < columns; ++k) {
        const float value = source_value(type, source.row(n), source.row_scales(n), k);
        ASSERT_EQ(packed_value(packed.matrix, n, k), value) << n << ", " << k << " of " << columns;
        ASSERT_EQ(row[k], value) << n << ", " << k << " of " << columns;
      }
    }
  }
}

// The scale of a whole tensor: a power of two, so that nothing is rounded.
TEST(SourceTypes, AFactorMultipliesEveryValue) {
  for (const WeightType& type : kWeightTypes) {
    if (has_row_scales(type.format)) continue;
    const MadeMatrix source = random_matrix(type, 19, 256, 5);
    const Packed packed(type, 19, 256, source, 0.25f);
    for (int n = 0; n < 19; ++n) {
      for (int k = 0; k < 256; ++k) {
        ASSERT_EQ(packed_value(packed.matrix, n, k),
                  0.25f * source_value(type, source.row(n), source.row_scales(n), k))
            << type.name << " " << n << ", " << k;
      }
    }
  }
}

TEST(SourceTypes, SayTheirLayout) {
  for (const WeightType& type : kWeightTypes) {
    EXPECT_EQ(packed_format(type.type), type.format) << type.name;
    EXPECT_EQ(source_block_columns(type.type), type.columns) << type.name;
    EXPECT_EQ(source_block_bytes(type.type), type.bytes) << type.name;
  }
}

// Halves of a group that lie far apart: the largest sets the step, no value is off by more than
// half of one, and the sum of the largest products does not overflow.
TEST(SourceTypes, RoundedHalvesKeepThirteenBitsOfTheirGroupsLargest) {
  const WeightType& type = kWeightTypes[std::size(kWeightTypes) - 1];
  ASSERT_EQ(type.type, SourceType::kF16Rounded);
  constexpr int kColumns = 320;
  MadeMatrix source = random_matrix(type, 16, kColumns, 5);
  std::mt19937 random(3);
  for (size_t i = 0; i < source.bytes.size(); i += 2) {
    uint16_t bits = static_cast<uint16_t>(random());
    if ((bits & 0x7c00) == 0x7c00) bits = 0x7bff;  // the largest half
    if (i / 2 / kGroup % 5 == 4) bits &= 0x8003;   // the smallest ones, or zero
    std::memcpy(&source.bytes[i], &bits, 2);
  }
  const Packed packed(type, 16, kColumns, source);
  for (int n = 0; n < 16; ++n) {
    for (int begin = 0; begin < kColumns; begin += kGroup) {
      float largest = 0;
      for (int k = begin; k < begin + kGroup; ++k)
        largest = std::max(largest, std::fabs(half_at(source.row(n) + k * 2)));
      for (int k = begin; k < begin + kGroup; ++k) {
        ASSERT_NEAR(packed_value(packed.matrix, n, k), half_at(source.row(n) + k * 2),
                    largest * 0x1p-13)
            << n << ", " << k;
      }
    }
  }
}

TEST_P(Matmul, FloatActivationsMatchTheScalarReference) {
  const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
  for (int rows : kRows) {
    for (int columns : column_counts()) {
      const Packed w(type, rows, columns, random_matrix(type, rows, columns, rows * 7 + columns),
                     0.3f);
      for (int tokens : kTokens) {
        const size_t x_stride = columns + 3, out_stride = rows + 5;
        const auto x = random_floats(tokens * x_stride, tokens);
        auto expected = random_floats(tokens * out_stride, 9), actual = expected;
        const bool accumulate = tokens % 2 == 0;
        reference.matmul_f32(w.matrix, 0, w.matrix.panels(), x.data(), x_stride, tokens,
                             {expected.data(), out_stride, accumulate});
        kernels.matmul_f32(w.matrix, 0, w.matrix.panels(), x.data(), x_stride, tokens,
                           {actual.data(), out_stride, accumulate});
        for (int t = 0; t < tokens; ++t) {
          for (int n = 0; n < rows; ++n) {
            const size_t i = t * out_stride + n;
            ASSERT_NEAR(actual[i], expected[i],
                        3e-6 * weight_of(w.matrix, &x[t * x_stride], n) + 1e-6)
                << rows << "x" << columns << " tokens " << tokens << " at " << t << "," << n;
          }
          for (size_t pad = rows; pad < out_stride; ++pad) {  // nothing past a row is written
            ASSERT_EQ(actual[t * out_stride + pad], expected[t * out_stride + pad]);
          }
        }
      }
    }
  }
}

TEST_P(QuantizedMatmul, IntegerActivationsMatchTheScalarReference) {
  const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
  for (int rows : kRows) {
    for (int columns : column_counts()) {
      const Packed w(type, rows, columns, random_matrix(type, rows, columns, rows * 7 + columns),
                     0.3f);
      for (int tokens : kTokens) {
        const size_t out_stride = rows + 5;
        const auto x = random_floats(static_cast<size_t>(tokens) * columns, tokens, 3);
        const RoundedRows rounded(reference, x.data(), tokens, columns);
        auto expected = random_floats(tokens * out_stride, 9), actual = expected;
        const bool accumulate = tokens % 2 == 1;
        rounded.multiply(reference, w.matrix, 0, w.matrix.panels(), tokens,
                         {expected.data(), out_stride, accumulate});
        rounded.multiply(kernels, w.matrix, 0, w.matrix.panels(), tokens,
                         {actual.data(), out_stride, accumulate});
        for (int t = 0; t < tokens; ++t) {
          for (int n = 0; n < rows; ++n) {
            const size_t i = t * out_stride + n;
            ASSERT_NEAR(actual[i], expected[i],
                        3e-6 * weight_of(w.matrix, &x[static_cast<size_t>(t) * columns], n) + 1e-5)
                << rows << "x" << columns << " tokens " << tokens << " at " << t << "," << n;
          }
        }
      }
    }
  }
}

struct Shape {
  int columns, tokens;
};

// The promise that batching and chunking stand on. Wide matrices are multiplied piece by piece, and
// so are very many tokens.
TEST_P(Matmul, AResultDoesNotDependOnTheTokensBesideIt) {
  constexpr int kN = 40;
  for (const auto [columns, kT] : {Shape{column_counts().back(), 21}, {1792, 23}, {256, 261}}) {
    if (GetParam().isa == Isa::kScalar && kT > 21) break;  // it has one way only
    const Packed w(type, kN, columns, random_matrix(type, kN, columns, 3));
    const auto x = random_floats(static_cast<size_t>(kT) * columns, 4);
    const RoundedRows all(kernels, x.data(), kT, columns);
    std::vector<float> together(kT * kN), alone(kN);
    for (bool integers : {false, true}) {
      if (integers && !is_quantized(type.format)) continue;
      if (integers) {
        all.multiply(kernels, w.matrix, 0, w.matrix.panels(), kT, {together.data(), kN, false});
      } else {
        kernels.matmul_f32(w.matrix, 0, w.matrix.panels(), x.data(), columns, kT,
                           {together.data(), kN, false});
      }
      for (int t = 0; t < kT; ++t) {
        const float* row = &x[static_cast<size_t>(t) * columns];
        const RoundedRows one(kernels, row, 1, columns);
        for (int p = 0; p < w.matrix.panels(); ++p) {  // and panel by panel
          if (integers) {
            one.multiply(kernels, w.matrix, p, p + 1, 1, {alone.data(), kN, false});
          } else {
            kernels.matmul_f32(w.matrix, p, p + 1, row, columns, 1, {alone.data(), kN, false});
          }
        }
        ASSERT_EQ(std::memcmp(alone.data(), &together[t * kN], kN * 4), 0)
            << "token " << t << " of " << kT << ", " << columns << " columns";
      }
    }
  }
}

// The largest products: no integer overflow at the extremes of both operands.
TEST_P(QuantizedMatmul, ExtremeQuantsDoNotOverflow) {
  const int columns = std::max(64, type.columns);
  MadeMatrix source = random_matrix(type, 16, columns, 1);
  // Two bytes of quants; of halves, all bits of the fraction.
  const auto fills = is_wide(type.format) ? std::array{0x3bff, 0xbbff, 0x7bff, 0x0000}
                                          : std::array{0x8080, 0x7f7f, 0xffff, 0x0000};
  for (int fill : fills) {
    for (size_t i = 0; i < source.bytes.size(); ++i) {
      const size_t at = i % type.bytes;
      if (at < type.header || at >= type.header + type.header_bytes)
        source.bytes[i] = static_cast<uint8_t>(fill >> (i % 2 * 8));
    }
    const Packed w(type, 16, columns, source);
    for (float sign : {1.0f, -1.0f}) {
      const std::vector<float> x(columns, sign * 5);
      const RoundedRows rounded(kernels, x.data(), 1, columns);
      std::vector<float> expected(16), actual(16);
      rounded.multiply(*cpu_kernels(Isa::kScalar), w.matrix, 0, 1, 1, {expected.data(), 16, false});
      rounded.multiply(kernels, w.matrix, 0, 1, 1, {actual.data(), 16, false});
      for (int n = 0; n < 16; ++n) {
        ASSERT_NEAR(actual[n], expected[n], 3e-6 * weight_of(w.matrix, x.data(), n) + 1e-5)
            << fill << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace mokume::kernels
