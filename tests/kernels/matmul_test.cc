#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/cases.h"

namespace mokume::kernels {
namespace {

struct Case {
  Isa isa;
  Format format;
};

const char* format_name(Format f) {
  constexpr const char* kNames[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"};
  return kNames[static_cast<int>(f)];
}

std::vector<Case> cases_of(bool only_quantized) {
  std::vector<Case> cases;
  for (Isa isa : machine_isas()) {
    for (Format f :
         {Format::kF32, Format::kF16, Format::kBF16, Format::kQ8_0, Format::kQ4_0, Format::kQ4_1}) {
      if (is_quantized(f) || !only_quantized) cases.push_back({isa, f});
    }
  }
  return cases;
}

class Matmul : public testing::TestWithParam<Case> {
 protected:
  const CpuKernels& kernels = *cpu_kernels(GetParam().isa);
  const Format format = GetParam().format;

  std::vector<int> column_counts() const {
    return is_quantized(format) ? std::vector{32, 64, 96, 576} : std::vector{1, 2, 31, 64, 257};
  }
};

std::string case_name(const testing::TestParamInfo<Case>& test) {
  return isa_name(test.param.isa) + "_" + format_name(test.param.format);
}

class QuantizedMatmul : public Matmul {};

INSTANTIATE_TEST_SUITE_P(AllIsas, Matmul, testing::ValuesIn(cases_of(false)), case_name);
INSTANTIATE_TEST_SUITE_P(AllIsas, QuantizedMatmul, testing::ValuesIn(cases_of(true)), case_name);

constexpr int kRows[] = {1, 15, 16, 17, 48};
constexpr int kTokens[] = {1, 2, 3, 7, 8, 9, 17};

/// What the sum's terms weigh in all: rounding errors are a small share of it.
double weight_of(const PackedMatrix& w, const float* x, int n) {
  double sum = 1e-6;
  for (int k = 0; k < w.columns; ++k) sum += std::fabs(double{packed_value(w, n, k)} * x[k]);
  return sum;
}

// The packed layout holds what the file's layout says, by an independent reading of the latter.
TEST_P(Matmul, PackingKeepsEveryValue) {
  for (int columns : column_counts()) {
    const SourceMatrix source = random_matrix(format, 19, columns, 5);
    const Packed packed(format, 19, columns, source);
    for (int n = 0; n < 19; ++n) {
      const uint8_t* row = source.bytes.data() + n * source.row_bytes;
      for (int k = 0; k < columns; ++k) {
        float expected = 0;
        if (!is_quantized(format)) {
          const size_t size = format == Format::kF32 ? 4 : 2;
          uint32_t bits = 0;
          std::memcpy(&bits, row + k * size, size);
          expected = format == Format::kF32   ? std::bit_cast<float>(bits)
                     : format == Format::kF16 ? half_to_float(static_cast<uint16_t>(bits))
                                              : bfloat16_to_float(static_cast<uint16_t>(bits));
        } else {
          const size_t size = format == Format::kQ8_0 ? 34 : format == Format::kQ4_0 ? 18 : 20;
          const uint8_t* block = row + k / 32 * size;
          uint16_t d, m = 0;
          std::memcpy(&d, block, 2);
          if (format == Format::kQ4_1) std::memcpy(&m, block + 2, 2);
          const uint8_t* q = block + (format == Format::kQ4_1 ? 4 : 2);
          const int i = k % 32;
          const int nibble = i < 16 ? q[i % 16] & 15 : q[i % 16] >> 4;
          expected = format == Format::kQ8_0 ? half_to_float(d) * static_cast<int8_t>(q[i])
                     : format == Format::kQ4_0
                         ? half_to_float(d) * static_cast<float>(nibble - 8)
                         : half_to_float(d) * static_cast<float>(nibble) + half_to_float(m);
        }
        ASSERT_EQ(packed_value(packed.matrix, n, k), expected)
            << n << ", " << k << " of " << columns;
      }
    }
  }
}

TEST_P(Matmul, FloatActivationsMatchTheScalarReference) {
  const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
  for (int rows : kRows) {
    for (int columns : column_counts()) {
      const Packed w(format, rows, columns,
                     random_matrix(format, rows, columns, rows * 7 + columns));
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

TEST_P(QuantizedMatmul, Int8ActivationsMatchTheScalarReference) {
  const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
  for (int rows : kRows) {
    for (int columns : column_counts()) {
      const Packed w(format, rows, columns,
                     random_matrix(format, rows, columns, rows * 7 + columns));
      for (int tokens : kTokens) {
        const size_t out_stride = rows + 5;
        const auto x = random_floats(static_cast<size_t>(tokens) * columns, tokens, 3);
        QuantizedStorage quantized(tokens, columns);
        reference.quantize_rows(x.data(), columns, tokens, columns, 0, quantized.rows);
        auto expected = random_floats(tokens * out_stride, 9), actual = expected;
        const bool accumulate = tokens % 2 == 1;
        reference.matmul_int8(w.matrix, 0, w.matrix.panels(), quantized.rows, tokens,
                              {expected.data(), out_stride, accumulate});
        kernels.matmul_int8(w.matrix, 0, w.matrix.panels(), quantized.rows, tokens,
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

// The promise that batching and chunking stand on.
TEST_P(Matmul, AResultDoesNotDependOnTheTokensBesideIt) {
  constexpr int kN = 40, kT = 21;
  const int columns = column_counts().back();
  const Packed w(format, kN, columns, random_matrix(format, kN, columns, 3));
  const auto x = random_floats(static_cast<size_t>(kT) * columns, 4);
  QuantizedStorage all(kT, columns), one(1, columns);
  kernels.quantize_rows(x.data(), columns, kT, columns, 0, all.rows);
  std::vector<float> together(kT * kN), alone(kN);
  for (bool int8 : {false, true}) {
    if (int8 && !is_quantized(format)) continue;
    if (int8) {
      kernels.matmul_int8(w.matrix, 0, w.matrix.panels(), all.rows, kT,
                          {together.data(), kN, false});
    } else {
      kernels.matmul_f32(w.matrix, 0, w.matrix.panels(), x.data(), columns, kT,
                         {together.data(), kN, false});
    }
    for (int t = 0; t < kT; ++t) {
      const float* row = &x[static_cast<size_t>(t) * columns];
      kernels.quantize_rows(row, columns, 1, columns, 0, one.rows);
      for (int p = 0; p < w.matrix.panels(); ++p) {  // and panel by panel
        if (int8) {
          kernels.matmul_int8(w.matrix, p, p + 1, one.rows, 1, {alone.data(), kN, false});
        } else {
          kernels.matmul_f32(w.matrix, p, p + 1, row, columns, 1, {alone.data(), kN, false});
        }
      }
      ASSERT_EQ(std::memcmp(alone.data(), &together[t * kN], kN * 4), 0) << "token " << t;
    }
  }
}

// The largest products: no integer overflow at the extremes of both operands.
TEST_P(QuantizedMatmul, ExtremeQuantsDoNotOverflow) {
  constexpr int kColumns = 64;
  SourceMatrix source = random_matrix(format, 16, kColumns, 1);
  const size_t block = format == Format::kQ8_0 ? 34 : format == Format::kQ4_0 ? 18 : 20;
  const size_t header = format == Format::kQ4_1 ? 4 : 2;
  for (int fill : {0x80, 0x7f, 0xff, 0x00}) {
    for (size_t i = 0; i < source.bytes.size(); ++i) {
      if (i % block >= header) source.bytes[i] = static_cast<uint8_t>(fill);
    }
    const Packed w(format, 16, kColumns, source);
    for (float sign : {1.0f, -1.0f}) {
      const std::vector<float> x(kColumns, sign * 5);
      QuantizedStorage quantized(1, kColumns);
      kernels.quantize_rows(x.data(), kColumns, 1, kColumns, 0, quantized.rows);
      std::vector<float> expected(16), actual(16);
      cpu_kernels(Isa::kScalar)
          ->matmul_int8(w.matrix, 0, 1, quantized.rows, 1, {expected.data(), 16, false});
      kernels.matmul_int8(w.matrix, 0, 1, quantized.rows, 1, {actual.data(), 16, false});
      for (int n = 0; n < 16; ++n) {
        ASSERT_NEAR(actual[n], expected[n], 3e-6 * weight_of(w.matrix, x.data(), n) + 1e-5)
            << fill << " " << n;
      }
    }
  }
}

}  // namespace
}  // namespace mokume::kernels
