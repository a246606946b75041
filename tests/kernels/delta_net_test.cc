#include <gtest/gtest.h>

#include "tests/kernels/cases.h"

namespace mokume::kernels {
namespace {

class DeltaNetKernels : public testing::TestWithParam<Isa> {
 protected:
  const CpuKernels& kernels = *cpu_kernels(GetParam());
  const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
};

INSTANTIATE_TEST_SUITE_P(AllIsas, DeltaNetKernels, testing::ValuesIn(machine_isas()),
                         [](const auto& test) { return isa_name(test.param); });

void expect_near(const std::vector<float>& actual, const std::vector<float>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance * (1 + std::fabs(expected[i]))) << i;
  }
}

TEST_P(DeltaNetKernels, SigmoidMul) {
  for (int columns : {1, 15, 16, 33, 100}) {
    const auto gate = random_floats(columns, 1, 5);
    auto actual = random_floats(columns, 2, 3), expected = actual;
    kernels.sigmoid_mul(actual.data(), gate.data(), columns);
    reference.sigmoid_mul(expected.data(), gate.data(), columns);
    expect_near(actual, expected, 1e-6);
  }
}

TEST_P(DeltaNetKernels, ScaleToLength) {
  for (int columns : {1, 15, 16, 33, 128}) {
    auto actual = random_floats(columns, 2, 3), expected = actual;
    kernels.scale_to_length(actual.data(), 0.25f, 1e-6f, columns);
    reference.scale_to_length(expected.data(), 0.25f, 1e-6f, columns);
    expect_near(actual, expected, 1e-6);
    double squares = 0;
    for (const float x : actual) squares += double{x} * x;
    EXPECT_NEAR(squares, 0.0625, 1e-5);
  }
  std::vector<float> zeros(20);
  kernels.scale_to_length(zeros.data(), 1, 1e-6f, 20);
  EXPECT_EQ(zeros, std::vector<float>(20));
}

struct ConvCase {
  int channels, kernel, tokens;
};

class Conv {
 public:
  explicit Conv(const ConvCase& c)
      : case_(c),
        weight_(random_floats(static_cast<size_t>(c.channels) * c.kernel, 3)),
        rows(random_floats(static_cast<size_t>(c.channels + 5) * c.tokens, 4)),
        state(random_floats(static_cast<size_t>(c.channels) * (c.kernel - 1), 5)) {}

  /// Tokens [first, last), in two ranges of channels.
  void run(const CpuKernels& kernels, int first, int last) {
    const size_t stride = static_cast<size_t>(case_.channels) + 5;
    const ConvArgs args{rows.data() + first * stride,
                        stride,
                        state.data(),
                        weight_.data(),
                        case_.kernel,
                        case_.channels};
    const int middle = case_.channels / 2;
    kernels.conv_silu(args, 0, middle, last - first);
    kernels.conv_silu(args, middle, case_.channels, last - first);
  }

 private:
  ConvCase case_;
  std::vector<float> weight_;

 public:
  std::vector<float> rows, state;
};

TEST_P(DeltaNetKernels, ConvSilu) {
  for (const ConvCase& c : {ConvCase{1, 2, 1}, {16, 4, 1}, {33, 4, 2}, {40, 4, 9}, {17, 8, 20}}) {
    Conv actual(c), expected(c);
    actual.run(kernels, 0, c.tokens);
    expected.run(reference, 0, c.tokens);
    expect_near(actual.rows, expected.rows, 2e-6);
    EXPECT_EQ(actual.state, expected.state);  // inputs, copied
  }
}

TEST_P(DeltaNetKernels, ConvSiluGoesOnWhereItStopped) {
  const ConvCase c{33, 4, 11};
  Conv whole(c), cut(c);
  whole.run(kernels, 0, 11);
  for (const auto& [first, last] : {std::pair{0, 1}, {1, 3}, {3, 11}})
    cut.run(kernels, first, last);
  EXPECT_EQ(whole.rows, cut.rows);
  EXPECT_EQ(whole.state, cut.state);
}

struct RuleCase {
  int key_dim, value_dim, tokens;
};

class Rule {
 public:
  explicit Rule(const RuleCase& c)
      : case_(c),
        stride_(static_cast<size_t>(2 * c.key_dim + c.value_dim) + 3),
        rows_(random_floats(stride_ * c.tokens, 6, 1 / std::sqrt(static_cast<float>(c.key_dim)))),
        gates_(static_cast<size_t>(c.tokens) * 4),
        state(random_floats(static_cast<size_t>(c.key_dim) * c.value_dim, 7)),
        out(static_cast<size_t>(c.value_dim) * c.tokens) {
    const auto noise = random_floats(gates_.size(), 8);
    for (size_t i = 0; i < gates_.size(); ++i) gates_[i] = 1 / (1 + std::exp(-noise[i]));
  }

  void run(const CpuKernels& kernels, int first, int last) {
    const float* row = rows_.data() + first * stride_;
    const DeltaRuleArgs args{.state = state.data(),
                             .query = row,
                             .key = row + case_.key_dim,
                             .value = row + 2 * case_.key_dim,
                             .stride = stride_,
                             .decay = gates_.data() + first * 4,
                             .beta = gates_.data() + first * 4 + 2,
                             .gate_stride = 4,
                             .out = out.data() + static_cast<size_t>(first) * case_.value_dim,
                             .out_stride = static_cast<size_t>(case_.value_dim),
                             .key_dim = case_.key_dim,
                             .value_dim = case_.value_dim};
    const int blocks = case_.value_dim / kStateBlock;
    kernels.delta_rule(args, 0, 1, last - first);
    kernels.delta_rule(args, 1, blocks, last - first);
  }

 private:
  RuleCase case_;
  size_t stride_;
  std::vector<float> rows_, gates_;

 public:
  std::vector<float> state, out;
};

TEST_P(DeltaNetKernels, DeltaRule) {
  for (const RuleCase& c :
       {RuleCase{4, 16, 1}, {16, 16, 1}, {12, 48, 7}, {128, 128, 3}, {64, 32, 130}}) {
    Rule actual(c), expected(c);
    actual.run(kernels, 0, c.tokens);
    expected.run(reference, 0, c.tokens);
    expect_near(actual.out, expected.out, 2e-5);
    expect_near(actual.state, expected.state, 2e-5);
  }
}

TEST_P(DeltaNetKernels, DeltaRuleGoesOnWhereItStopped) {
  const RuleCase c{32, 48, 70};
  Rule whole(c), cut(c);
  whole.run(kernels, 0, 70);
  for (const auto& [first, last] : {std::pair{0, 1}, {1, 64}, {64, 70}})
    cut.run(kernels, first, last);
  EXPECT_EQ(whole.out, cut.out);
  EXPECT_EQ(whole.state, cut.state);
}

}  // namespace
}  // namespace mokume::kernels
