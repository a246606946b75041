// A library's products: every type against a sum in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "device/cuda/blocks.h"
#include "tensor/float8.h"
#include "tensor/half.h"
#include "tests/kernels_cuda/harness.h"

namespace mokume::cuda {
namespace {

/// One operand, [rows][columns].
struct Operand {
  std::vector<uint8_t> data, scales;
  std::vector<double> values;
};

/// The scales' place as the library's manual draws it: 128 rows by 4 scales are 32 lines of 16
/// bytes, of which each has 4 scales of the rows r, r + 32, r + 64 and r + 96.
size_t scale_place(int row, int group, int columns) {
  const int tiles_across = (columns / 16 + 3) / 4;
  const int tile = row / 128 * tiles_across + group / 4;
  const int line = row % 32, part = row / 32 % 4;
  return (static_cast<size_t>(tile) * 32 + static_cast<size_t>(line)) * 16 +
         static_cast<size_t>(part * 4 + group % 4);
}

Operand random_operand(ProductType type, int rows, int columns, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  Operand operand;
  const auto put = [&](const auto& element) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&element);
    operand.data.insert(operand.data.end(), bytes, bytes + sizeof(element));
  };
  if (type == ProductType::kNvfp4) {
    operand.scales.resize(static_cast<size_t>((rows + 127) / 128 * ((columns / 16 + 3) / 4) * 512));
  }
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      const float value = normal(random);
      switch (type) {
        case ProductType::kF16:
          put(float_to_half(value));
          operand.values.push_back(half_to_float(float_to_half(value)));
          break;
        case ProductType::kBF16:
          put(float_to_bfloat16(value));
          operand.values.push_back(bfloat16_to_float(float_to_bfloat16(value)));
          break;
        case ProductType::kInt8:
          put(static_cast<int8_t>(random()));
          operand.values.push_back(static_cast<int8_t>(operand.data.back()));
          break;
        case ProductType::kF8:
          put(float_to_e4m3(value));
          operand.values.push_back(e4m3_to_float(operand.data.back()));
          break;
        default: {
          uint8_t& scale = operand.scales[scale_place(row, column / 16, columns)];
          if (column % 16 == 0) scale = static_cast<uint8_t>(0x20 + random() % 0x20);
          const uint8_t bits = float_to_e2m1(value);
          column % 2 == 0 ? put(bits)
                          : void(operand.data.back() |= static_cast<uint8_t>(bits << 4));
          operand.values.push_back(double{e2m1_to_float(bits)} * e4m3_to_float(scale));
        }
      }
    }
  }
  return operand;
}

struct Case {
  int rows, columns, tokens;
  float factor = 1;
  bool accumulate = false;
};

constexpr Case kCases[] = {{16, 32, 1},
                           {16, 64, 2, 0.5f},
                           {48, 1056, 7},
                           {144, 96, 130},
                           {160, 544, 33, 1, true},
                           {272, 2080, 17},
                           {32, 4128, 3, 2, true},
                           {64, 128, 257, 0.25f, true}};
constexpr const char* kNames[kProductTypes] = {"F16", "BF16", "Int8", "F8", "Nvfp4"};

/// Over the outputs' root mean square. Tensor cores add with fewer bits than float32 has, those of
/// 8 and 4 bits with fewer still.
double tolerance(ProductType type) {
  if (!on_gpu()) return 2e-5;
  return type == ProductType::kF8 || type == ProductType::kNvfp4 ? 2e-3 : 2e-4;
}

class LibraryProducts : public testing::TestWithParam<int> {
 protected:
  /// Skips where the GPU is older than the type, or has no library.
  void make(const Case& most) {
    const Result<ProductHandle> made =
        gpu.gpu().make_product({type, most.rows, most.columns, 512, most.tokens});
    if (on_gpu() && (absl::IsUnimplemented(made.status()) || absl::IsNotFound(made.status()))) {
      GTEST_SKIP() << gpu.gpu().info().name << ": " << made.status();
    }
    ASSERT_TRUE(made.ok()) << made.status();
    product = OwnedProduct(gpu.gpu(), *made);
  }

  /// Outputs, of int32 as floats.
  std::vector<float> multiply(const Case& c, const Operand& matrix, const Operand& x,
                              const std::vector<float>& before) {
    ProductArgs args;
    args.matrix = gpu.put(matrix.data);
    args.matrix_scales = gpu.put(matrix.scales);
    args.x = gpu.put(x.data);
    args.x_scales = gpu.put(x.scales);
    auto* const out = gpu.put(before);
    args.out = out;
    args.tokens = c.tokens;
    args.factor = c.factor;
    args.accumulate = c.accumulate;
    const Status status = gpu.gpu().multiply(gpu.stream(), product.get(), args);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<float> values = gpu.get(out, before.size());
    if (type == ProductType::kInt8) {
      for (float& value : values) {
        int32_t integer;
        std::memcpy(&integer, &value, sizeof(integer));
        value = static_cast<float>(integer);
      }
    }
    return values;
  }

  const ProductType type = static_cast<ProductType>(GetParam());
  TestGpu gpu;
  OwnedProduct product;
};

INSTANTIATE_TEST_SUITE_P(Types, LibraryProducts, testing::Range(0, kProductTypes),
                         [](const auto& test) { return std::string(kNames[test.param]); });

TEST_P(LibraryProducts, AreTheSumsOfTheirFactors) {
  for (Case c : kCases) {
    SCOPED_TRACE(testing::Message() << c.rows << 'x' << c.columns << " for " << c.tokens);
    if (type == ProductType::kInt8) c.accumulate = false, c.factor = 1;
    make(c);
    if (!product.get()) return;
    const Operand matrix = random_operand(type, c.rows, c.columns, 1);
    const Operand x = random_operand(type, c.tokens, c.columns, 2);
    const std::vector<float> before(static_cast<size_t>(c.tokens) * static_cast<size_t>(c.rows),
                                    3.0f);
    const auto columns = static_cast<size_t>(c.columns);
    std::vector<double> expected;
    for (size_t token = 0; token < static_cast<size_t>(c.tokens); ++token) {
      for (size_t row = 0; row < static_cast<size_t>(c.rows); ++row) {
        double sum = 0;
        for (size_t k = 0; k < columns; ++k) {
          sum += matrix.values[row * columns + k] * x.values[token * columns + k];
        }
        expected.push_back(sum * c.factor + (c.accumulate ? 3 : 0));
      }
    }
    EXPECT_LT(relative_error(multiply(c, matrix, x, before), expected), tolerance(type));
  }
}

// What a token gets does not depend on how many are multiplied with it.
TEST_P(LibraryProducts, HaveTheSameBitsForAnyNumberOfTokens) {
  const Case whole{96, 1312, 150};
  make(whole);
  if (!product.get()) return;
  const Operand matrix = random_operand(type, whole.rows, whole.columns, 1);
  Operand x = random_operand(type, whole.tokens, whole.columns, 2);
  const auto outputs = [&](int tokens) {
    return std::vector<float>(static_cast<size_t>(tokens) * static_cast<size_t>(whole.rows));
  };
  const std::vector<float> want = multiply(whole, matrix, x, outputs(whole.tokens));
  for (const int tokens : {1, 2, 17, 64, 129}) {
    const Case c{whole.rows, whole.columns, tokens};
    const std::vector<float> found = multiply(c, matrix, x, outputs(tokens));
    EXPECT_TRUE(std::equal(found.begin(), found.end(), want.begin())) << tokens;
  }
}

}  // namespace
}  // namespace mokume::cuda
