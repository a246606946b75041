// matvec, gate_up and gemm: one list of cases over every format, tails included.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels_cuda/matrices.h"

namespace mokume::cuda {
namespace {

constexpr Format kAllFormats[] = {Format::kF32, Format::kF16,   Format::kBF16,
                                  Format::kF8,  Format::kInt8,  Format::kQ8,
                                  Format::kQ4,  Format::kQ4Min, Format::kNvfp4};

constexpr Inputs kAllInputs[] = {Inputs::kF32, Inputs::k16Bits, Inputs::kNvfp4};

const char* name(Inputs inputs) {
  return inputs == Inputs::kF32 ? "F32" : inputs == Inputs::kNvfp4 ? "NVFP4" : "16 bits";
}

/// Tensor cores multiply; matrices in float32 and exact products are multiplied by floats.
bool rounds(Format format, Inputs inputs) {
  return inputs != Inputs::kF32 && format != Format::kF32;
}
bool rounds_to_nvfp4(Format format, Inputs inputs) {
  return inputs == Inputs::kNvfp4 && format == Format::kNvfp4;
}
/// Whether the format has a case of its own for these inputs.
bool has_inputs(Format format, Inputs inputs) {
  if (inputs == Inputs::kNvfp4) return rounds_to_nvfp4(format, inputs) && multiplies_nvfp4();
  return inputs == Inputs::kF32 || rounds(format, inputs);
}

// Over the outputs' root mean square. The reference rounds what the kernel does; what lies between
// two steps may fall to the other side.
double tolerance(Format format, Inputs inputs) { return rounds(format, inputs) ? 1e-4 : 2e-5; }

uint32_t float_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

struct Input {
  std::vector<float> x, norm, gate;
  float epsilon = 0.01f;
  int tokens = 0, columns = 0;
};

Input random_input(int tokens, int columns, bool norm, bool gate) {
  const size_t count = static_cast<size_t>(tokens) * columns;
  Input input{random_floats(count, 21), {}, {}, 0.01f, tokens, columns};
  if (norm) input.norm = random_floats(static_cast<size_t>(columns), 22);
  if (gate) input.gate = random_floats(count, 23);
  return input;
}

// To so many significant bits.
double round_to(double value, int bits) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
}

// As an operand of a tensor core: a half, or two bfloat16, of which the first is cut off.
double as_operand(float x, Format format) {
  if (format != Format::kBF16) return round_to(x, 11);
  const float first = kernels::bfloat16_to_float(static_cast<uint16_t>(float_bits(x) >> 16));
  return first + round_to(x - first, 8);
}

// The code of a value in a format of few: the nearest, ties to the even one.
template <typename Decode>
int nearest_code(double value, int codes, const Decode& decode) {
  int best = 0;
  for (int code = 1; code < codes; ++code) {
    const double far = std::abs(decode(code) - value), least = std::abs(decode(best) - value);
    if (far < least || (far == least && code % 2 == 0)) best = code;
  }
  return best;
}

// 128 columns times a power of two, then E2M1 with an E4M3 for 16 of them.
void round_to_nvfp4(std::vector<double>& row) {
  static constexpr double kE2m1[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  const auto largest = [&](size_t begin, size_t count) {
    double most = 0;
    for (size_t k = begin; k < std::min(row.size(), begin + count); ++k) {
      most = std::max(most, std::abs(row[k]));
    }
    return most;
  };
  for (size_t segment = 0; segment < row.size(); segment += 128) {
    int exponent = 0;
    std::frexp(largest(segment, 128), &exponent);
    const double power = std::ldexp(1, 11 - exponent);  // to [2^10, 2^11)
    for (size_t group = segment; group < std::min(row.size(), segment + 128); group += 16) {
      const auto sixth = static_cast<float>(largest(group, 16) * power) / 6.0f;
      const auto scale = static_cast<float>(e4m3_value(static_cast<uint8_t>(nearest_code(
          sixth, 0x7f, [](int code) { return e4m3_value(static_cast<uint8_t>(code)); }))));
      const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
      for (size_t k = group; k < std::min(row.size(), group + 16); ++k) {
        const double level = static_cast<float>(std::abs(row[k]) * power) * inverse;
        const int code = nearest_code(level, 8, [](int c) { return kE2m1[c]; });
        row[k] = std::copysign(kE2m1[code] * scale / power, row[k]);
      }
    }
  }
}

// The inputs that the product sees.
std::vector<double> seen(const Input& in, Format format, Inputs inputs) {
  const bool operands = rounds(format, inputs) && !rounds_to_nvfp4(format, inputs);
  std::vector<double> out;
  for (int t = 0; t < in.tokens; ++t) {
    const float* x = &in.x[static_cast<size_t>(t) * in.columns];
    std::vector<double> row;
    double squares = 0;
    for (int k = 0; k < in.columns; ++k) {
      squares += double{x[k]} * x[k];
      float value = x[k];
      if (!in.gate.empty()) {
        value *= 1.0f / (1.0f + std::exp(-in.gate[static_cast<size_t>(t) * in.columns + k]));
      }
      if (!in.norm.empty()) value *= in.norm[k];
      row.push_back(operands ? as_operand(value, format) : value);
    }
    if (rounds_to_nvfp4(format, inputs)) round_to_nvfp4(row);
    const double factor = in.norm.empty() ? 1 : 1 / std::sqrt(squares / in.columns + in.epsilon);
    for (const double value : row) out.push_back(value * factor);
  }
  return out;
}

double as_half(double value) {
  return kernels::half_to_float(kernels::float_to_half(static_cast<float>(value)));
}

// [tokens][rows]
std::vector<double> product(const HostMatrix& m, const std::vector<double>& x, int tokens,
                            Inputs inputs) {
  const bool halves =
      inputs != Inputs::kF32 && scale_bytes(m.format) == 2;  // with their scales in them
  std::vector<double> out(static_cast<size_t>(tokens) * m.rows);
  std::vector<double> row(static_cast<size_t>(m.columns));
  for (int n = 0; n < m.rows; ++n) {
    for (int k = 0; k < m.columns; ++k) row[k] = halves ? as_half(m.value(n, k)) : m.value(n, k);
    for (int t = 0; t < tokens; ++t) {
      double sum = m.bias.empty() ? 0 : m.bias[n];
      for (int k = 0; k < m.columns; ++k) sum += row[k] * x[static_cast<size_t>(t) * m.columns + k];
      out[static_cast<size_t>(t) * m.rows + n] = sum;
    }
  }
  return out;
}

struct Case {
  std::vector<int> rows;  // of the matrices
  int columns;
  int tokens;
  bool norm = false, gate = false, bias = false, accumulate = false;
};

const Case kCases[] = {
    {{16}, 1024, 1},
    {{1}, 32, 1},
    {{33}, 2080, 1, true},                      // tails of rows and of columns
    {{17, 5, 30}, 96, 2, true, false, true},    // several matrices that share a block
    {{24}, 1056, 3, false, true, false, true},  // gated, added to a residual
    {{20, 20, 3, 2}, 576, 5, true},             // four, padded to 8 tokens
    {{31}, 3200, 8, false, false, true, true},
    {{18}, 1248, 11, true},  // two passes of tokens
    {{35}, 64, 16, false, true},
};

void run_case(const Case& c, Format format, Inputs inputs, simt::Order order) {
  SCOPED_TRACE(testing::Message() << name(format) << " by " << name(inputs) << ' ' << c.rows[0]
                                  << 'x' << c.columns << " for " << c.tokens);
  TestGpu gpu(order);
  const Input input = random_input(c.tokens, c.columns, c.norm, c.gate);
  std::vector<HostMatrix> matrices;
  std::vector<std::vector<float>> before;
  MatvecArgs args;
  for (const int rows : c.rows) {
    const auto seed = static_cast<unsigned>(matrices.size());
    matrices.push_back(random_matrix(format, rows, c.columns, 40 + seed, c.bias));
    const size_t outputs = static_cast<size_t>(rows) * c.tokens;
    before.push_back(random_floats(outputs, 60 + seed));
    args.matrices[args.count] = matrices.back().on(gpu);
    args.outs[args.count++] = c.accumulate ? gpu.put(before.back()) : gpu.empty<float>(outputs);
  }
  args.x = gpu.put(input.x);
  args.norm_weight = gpu.put(input.norm);
  args.gate = gpu.put(input.gate);
  args.epsilon = input.epsilon;
  args.tokens = c.tokens;
  args.accumulate = c.accumulate;
  args.inputs = inputs;
  gpu.run(gpu.kernels().matvec, args);
  const std::vector<double> x = seen(input, format, inputs);
  for (size_t m = 0; m < matrices.size(); ++m) {
    std::vector<double> expected = product(matrices[m], x, c.tokens, inputs);
    for (size_t i = 0; c.accumulate && i < expected.size(); ++i) expected[i] += before[m][i];
    EXPECT_LT(relative_error(gpu.get(args.outs[m], expected.size()), expected),
              tolerance(format, inputs))
        << "matrix " << m;
  }
}

class Products : public testing::TestWithParam<Format> {};
INSTANTIATE_TEST_SUITE_P(Formats, Products, testing::ValuesIn(kAllFormats),
                         [](const auto& tested) { return std::string(name(tested.param)); });

TEST_P(Products, Matvec) {
  for (const Case& c : kCases) {
    if (c.columns % column_multiple(GetParam())) continue;
    for (const simt::Order order : orders()) {
      for (const Inputs inputs : kAllInputs) {
        if (has_inputs(GetParam(), inputs)) run_case(c, GetParam(), inputs, order);
      }
    }
  }
}

TEST_P(Products, GateUp) {
  for (const int tokens : {1, 3, 16}) {
    for (const Inputs inputs : kAllInputs) {
      if (!has_inputs(GetParam(), inputs)) continue;
      TestGpu gpu(simt::Order::kRandom);
      const Input input = random_input(tokens, 1120, true, false);
      const HostMatrix gate = random_matrix(GetParam(), 21, 1120, 71, true),
                       up = random_matrix(GetParam(), 21, 1120, 72);
      GateUpArgs args;
      args.gate = gate.on(gpu);
      args.up = up.on(gpu);
      args.x = gpu.put(input.x);
      args.norm_weight = gpu.put(input.norm);
      args.epsilon = input.epsilon;
      args.out = gpu.empty<float>(static_cast<size_t>(tokens) * 21);
      args.tokens = tokens;
      args.inputs = inputs;
      gpu.run(gpu.kernels().gate_up, args);
      const std::vector<double> x = seen(input, GetParam(), inputs);
      std::vector<double> expected = product(gate, x, tokens, inputs);
      const std::vector<double> other = product(up, x, tokens, inputs);
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] *= other[i] / (1 + std::exp(-expected[i]));
      }
      EXPECT_LT(relative_error(gpu.get(args.out, expected.size()), expected),
                3 * tolerance(GetParam(), inputs));
    }
  }
}

TEST_P(Products, Gemm) {
  for (const auto& [rows, columns, tokens] :
       {std::array{70, 96, 67}, {64, 64, 64}, {5, 160, 1}, {130, 32, 3}}) {
    for (const simt::Order order : orders()) {
      TestGpu gpu(order);
      const Input input = random_input(tokens, columns, false, false);
      const HostMatrix matrix = random_matrix(GetParam(), rows, columns, 81, rows == 70);
      const auto before = random_floats(static_cast<size_t>(rows) * tokens, 82);
      GemmArgs args;
      args.matrix = matrix.on(gpu);
      args.x = gpu.put(input.x);
      args.out = gpu.put(before);
      args.tokens = tokens;
      args.accumulate = rows == 70;
      gpu.run(gpu.kernels().gemm, args);
      std::vector<double> expected =
          product(matrix, seen(input, GetParam(), Inputs::kF32), tokens, Inputs::kF32);
      for (size_t i = 0; args.accumulate && i < expected.size(); ++i) expected[i] += before[i];
      EXPECT_LT(relative_error(gpu.get(args.out, expected.size()), expected), 2e-5);
    }
  }
}

// Tensor cores take halves, whose range is small: an input may be larger, or nearly nothing, and
// have elements of both kinds.
TEST_P(Products, InputsOfAnySize) {
  const int rows = 20, columns = 416;
  const HostMatrix matrix = random_matrix(GetParam(), rows, columns, 85);
  for (const float size : {1e9f, 1e-12f}) {
    Input input = random_input(9, columns, false, false);
    for (size_t i = 0; i < input.x.size(); ++i) input.x[i] *= i % 7 == 3 ? size : size * 1e-3f;
    for (const Inputs inputs : kAllInputs) {
      if (!has_inputs(GetParam(), inputs)) continue;
      TestGpu gpu;
      MatvecArgs args;
      args.matrices[0] = matrix.on(gpu);
      args.count = 1;
      args.outs[0] = gpu.empty<float>(9 * rows);
      args.x = gpu.put(input.x);
      args.tokens = 9;
      args.inputs = inputs;
      gpu.run(gpu.kernels().matvec, args);
      EXPECT_LT(relative_error(gpu.get(args.outs[0], 9 * rows),
                               product(matrix, seen(input, GetParam(), inputs), 9, inputs)),
                tolerance(GetParam(), inputs))
          << size;
    }
  }
}

TEST(ProductsOfNvfp4, RunWhereTheGpuHasThem) {
  if (!multiplies_nvfp4()) {
    GTEST_SKIP() << "the GPU is not of capability 12.0: no case multiplies NVFP4 by NVFP4";
  }
  run_case({{35}, 1184, 16, true}, Format::kNvfp4, Inputs::kNvfp4, simt::Order::kReverse);
}

// Sums over several tiles, of blocks in different parts of a matrix.
TEST(ProductRows, OfATallMatrix) {
  run_case({{1040}, 3168, 1, true}, Format::kNvfp4, Inputs::k16Bits, simt::Order::kForward);
  run_case({{1040}, 3168, 2, true}, Format::kInt8, Inputs::k16Bits, simt::Order::kReverse);
}

// ADR 9: a token's bits do not depend on the tokens beside it.
void expect_same_bits(Format format, int columns) {
  const int rows = 19;
  const Input input = random_input(kMaxDecodeTokens, columns, true, false);
  const HostMatrix matrix = random_matrix(format, rows, columns, 91);
  for (const Inputs inputs : kAllInputs) {
    if (!has_inputs(format, inputs)) continue;
    std::vector<float> all;
    for (const int tokens : {16, 8, 5, 4, 2, 1}) {
      TestGpu gpu;
      MatvecArgs args;
      args.matrices[0] = matrix.on(gpu);
      args.count = 1;
      args.outs[0] = gpu.empty<float>(static_cast<size_t>(rows) * tokens);
      args.x = gpu.put(input.x);
      args.norm_weight = gpu.put(input.norm);
      args.tokens = tokens;
      args.inputs = inputs;
      gpu.run(gpu.kernels().matvec, args);
      const auto out = gpu.get(args.outs[0], static_cast<size_t>(rows) * tokens);
      if (all.empty()) all = out;
      EXPECT_TRUE(std::equal(out.begin(), out.end(), all.begin())) << tokens << " tokens";
    }
  }
}

TEST_P(Products, SameBitsInAnyBatch) {
  expect_same_bits(GetParam(), 1248);
  expect_same_bits(GetParam(), 2080);
}

// What a layer of true size moves.
void expect_budget(Format format, const std::vector<int>& rows, int columns, int tokens, bool pair,
                   Inputs inputs = Inputs::k16Bits) {
  SCOPED_TRACE(testing::Message() << name(format) << ' ' << rows[0] << 'x' << columns << " for "
                                  << tokens);
  TestGpu gpu;
  const size_t elements = static_cast<size_t>(tokens) * columns;
  double read = 4.0 * (static_cast<double>(elements) + columns), written = 0;
  Matrix matrices[kMaxMatrices];
  float* outs[kMaxMatrices];
  int count = 0;
  for (const int n : rows) {
    const HostMatrix m = random_matrix(format, n, columns, 3);
    read += static_cast<double>(m.bytes());
    matrices[count] = m.on(gpu);
    outs[count++] = gpu.empty<float>(static_cast<size_t>(n) * tokens);
    written += pair ? 2.0 * n * tokens : 4.0 * n * tokens;
  }
  const float* x = gpu.put(random_floats(elements, 1));
  const float* norm = gpu.put(random_floats(static_cast<size_t>(columns), 2));
  if (pair) {
    gpu.run(gpu.kernels().gate_up,
            {matrices[0], matrices[1], x, norm, 0.1f, outs[0], tokens, inputs});
  } else {
    MatvecArgs args;
    std::copy_n(matrices, count, args.matrices);
    std::copy_n(outs, count, args.outs);
    args.count = count;
    args.x = x;
    args.norm_weight = norm;
    args.tokens = tokens;
    args.inputs = inputs;
    gpu.run(gpu.kernels().matvec, args);
  }
  const simt::Counters c = gpu.counted();
  EXPECT_LE(static_cast<double>(c.read_bytes + c.written_bytes), 1.05 * (read + written));
  EXPECT_GE(c.sector_efficiency(), 0.95);
  EXPECT_LE(c.bank_ways(), 1.1);
  EXPECT_EQ(c.launches, 1u);
}

TEST(ProductBudget, OfTrueShapes) {
  if (on_gpu()) GTEST_SKIP() << "the executor counts";
  for (const Format format : {Format::kF16, Format::kInt8, Format::kNvfp4}) {
    expect_budget(format, {4096}, 4096, 1, false);
    expect_budget(format, {1024, 1024}, 4096, 4, false);
    expect_budget(format, {3584, 3584}, 1024, 1, true);
  }
  expect_budget(Format::kNvfp4, {4096}, 12288, 1, false);
  expect_budget(Format::kNvfp4, {3072, 3072}, 4096, 16, true);
  for (const int tokens : {1, 16}) {
    expect_budget(Format::kNvfp4, {1024, 1024}, 4096, tokens, true, Inputs::kNvfp4);
  }
  for (const Format format : {Format::kF16, Format::kInt8, Format::kBF16, Format::kF8, Format::kQ8,
                              Format::kQ4, Format::kQ4Min}) {
    for (const int tokens : {1, 5, 16}) expect_budget(format, {1024}, 3584, tokens, false);
  }
}

}  // namespace
}  // namespace mokume::cuda
