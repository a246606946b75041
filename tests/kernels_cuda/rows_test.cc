// Kernels that work on rows: embed, rms_norm, silu_mul, dequantize.
#include <gtest/gtest.h>

#include "kernels/common/half.h"
#include "tests/kernels_cuda/matrices.h"

namespace mokume::cuda {
namespace {

constexpr Element kElements[] = {Element::kF32, Element::kF16, Element::kBF16, Element::kInt8,
                                 Element::kF8};

// Relative to a row's largest element.
double rounding(Element element) {
  switch (element) {
    case Element::kF32:
      return 2e-6;
    case Element::kF16:
      return 0x1p-11;
    case Element::kBF16:
      return 0x1p-8;
    case Element::kInt8:
      return 0.51 / 127;
    default:
      return 0x1p-4;
  }
}

// A row's elements as a product reads them.
std::vector<double> read_rows(TestGpu& gpu, const void* out, const float* scales, Element element,
                              int rows, int width) {
  std::vector<double> values;
  const auto bytes = gpu.get(static_cast<const uint8_t*>(out),
                             static_cast<size_t>(rows) * width * element_bytes(element));
  std::vector<float> factors(static_cast<size_t>(rows), 1.0f);
  if (element_bytes(element) == 1) factors = gpu.get(scales, static_cast<size_t>(rows));
  for (size_t i = 0; i < static_cast<size_t>(rows) * width; ++i) {
    const double factor = factors[i / width];
    float f;
    uint16_t h;
    std::memcpy(&h, &bytes[i * element_bytes(element) / 2 * 2 % bytes.size()], 2);
    switch (element) {
      case Element::kF32:
        std::memcpy(&f, &bytes[i * 4], 4);
        values.push_back(f);
        break;
      case Element::kF16:
        values.push_back(kernels::half_to_float(h));
        break;
      case Element::kBF16:
        values.push_back(kernels::bfloat16_to_float(h));
        break;
      case Element::kInt8:
        values.push_back(static_cast<int8_t>(bytes[i]) * factor);
        break;
      default:
        values.push_back(e4m3_value(bytes[i]) * factor);
    }
  }
  return values;
}

void expect_rows(const std::vector<double>& values, const std::vector<double>& expected, int width,
                 double tolerance) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t row = 0; row < values.size() / width; ++row) {
    double largest = 0;
    for (int i = 0; i < width; ++i)
      largest = std::max(largest, std::abs(expected[row * width + i]));
    for (int i = 0; i < width; ++i) {
      const size_t at = row * width + i;
      ASSERT_NEAR(values[at], expected[at], tolerance * largest) << "row " << row << " at " << i;
    }
  }
}

struct NormCase {
  int tokens, width;
  bool add, weight, rows;
};

TEST(RmsNorm, IsWhatItsFormulaSays) {
  const NormCase cases[] = {{3, 64, false, true, false},    {1, 4, true, true, false},
                            {2, 576, true, true, false},    {2, 3584, true, true, false},
                            {3, 1028, false, false, false}, {2, 260, true, false, false},
                            {2, 896, false, true, true}};
  for (const NormCase& c : cases) {
    for (const Element element : kElements) {
      for (const simt::Order order : orders()) {
        SCOPED_TRACE(testing::Message()
                     << c.tokens << 'x' << c.width << " element " << static_cast<int>(element));
        TestGpu gpu(order);
        const int stored = c.rows ? 5 : c.tokens;
        const size_t count = static_cast<size_t>(stored) * c.width;
        const auto x = random_floats(count, 1), add = random_floats(count, 2, 0.5f);
        const auto weight = random_floats(static_cast<size_t>(c.width), 3);
        const std::vector<int32_t> rows = {4, 1};
        RmsNormArgs args;
        args.x = gpu.put(x);
        if (c.add) args.add = gpu.put(add);
        if (c.weight) args.weight = gpu.put(weight);
        if (c.rows) args.rows = gpu.put(rows);
        args.epsilon = 1e-3f;
        args.element = element;
        args.out = gpu.empty<float>(static_cast<size_t>(c.tokens) * c.width);
        args.scales = gpu.empty<float>(static_cast<size_t>(c.tokens));
        args.tokens = c.tokens;
        args.width = c.width;
        gpu.run(gpu.kernels().rms_norm, args);

        std::vector<double> expected, sums(count);
        for (size_t i = 0; i < count; ++i) sums[i] = x[i] + (c.add ? add[i] : 0.0f);
        for (int t = 0; t < c.tokens; ++t) {
          const double* row = &sums[static_cast<size_t>(c.rows ? rows[t] : t) * c.width];
          double squares = 0;
          for (int i = 0; i < c.width; ++i) squares += row[i] * row[i];
          const double factor = c.weight ? 1 / std::sqrt(squares / c.width + 1e-3) : 1;
          for (int i = 0; i < c.width; ++i) {
            expected.push_back(row[i] * factor * (c.weight ? weight[i] : 1));
          }
        }
        expect_rows(read_rows(gpu, args.out, args.scales, element, c.tokens, c.width), expected,
                    c.width, rounding(element));
        EXPECT_LT(relative_error(gpu.get(args.x, count), sums), 1e-6);
      }
    }
  }
}

TEST(RmsNorm, RowsOfZerosHaveNoNaN) {
  for (const Element element : kElements) {
    TestGpu gpu;
    RmsNormArgs args;
    args.x = gpu.put(std::vector<float>(64));
    args.weight = gpu.put(std::vector<float>(64, 1.0f));
    args.epsilon = 1e-6f;
    args.element = element;
    args.out = gpu.empty<float>(64);
    args.scales = gpu.empty<float>(1);
    args.tokens = 1;
    args.width = 64;
    gpu.run(gpu.kernels().rms_norm, args);
    expect_rows(read_rows(gpu, args.out, args.scales, element, 1, 64), std::vector<double>(64), 64,
                0);
  }
}

TEST(RmsNorm, MovesWhatItMust) {
  if (on_gpu()) GTEST_SKIP() << "the executor counts";
  TestGpu gpu;
  const int tokens = 4, width = 4096;
  const size_t count = static_cast<size_t>(tokens) * width;
  RmsNormArgs args;
  args.x = gpu.put(random_floats(count, 1));
  args.add = gpu.put(random_floats(count, 2));
  args.weight = gpu.put(random_floats(width, 3));
  args.out = gpu.empty<float>(count / 2);
  args.element = Element::kF16;
  args.tokens = tokens;
  args.width = width;
  gpu.run(gpu.kernels().rms_norm, args);
  const simt::Counters c = gpu.counted();
  EXPECT_LE(c.read_bytes, 1.05 * (8 * count + 4 * width));
  EXPECT_LE(c.written_bytes, 1.05 * (4 * count + 2 * count));
  EXPECT_GE(c.sector_efficiency(), 0.95);
  EXPECT_LE(c.bank_ways(), 1.1);
}

TEST(SiluMul, IsWhatItsFormulaSays) {
  for (const Element element : kElements) {
    for (const simt::Order order : orders()) {
      TestGpu gpu(order);
      const int tokens = 3, width = 1540;
      const size_t count = static_cast<size_t>(tokens) * width;
      const auto gate = random_floats(count, 1, 3), up = random_floats(count, 2);
      SiluMulArgs args;
      args.gate = gpu.put(gate);
      args.up = gpu.put(up);
      args.element = element;
      args.out = gpu.empty<float>(count);
      args.scales = gpu.empty<float>(tokens);
      args.tokens = tokens;
      args.width = width;
      gpu.run(gpu.kernels().silu_mul, args);
      std::vector<double> expected(count);
      for (size_t i = 0; i < count; ++i) {
        expected[i] = gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
      }
      expect_rows(read_rows(gpu, args.out, args.scales, element, tokens, width), expected, width,
                  rounding(element));
    }
  }
}

TEST(SiluMul, KeepsF16InItsRange) {
  TestGpu gpu;
  SiluMulArgs args;
  args.gate = gpu.put(std::vector<float>{300, 300, 300, std::nanf("")});
  args.up = gpu.put(std::vector<float>{300, -300, 2, 1});
  args.out = gpu.empty<uint16_t>(4);
  args.element = Element::kF16;
  args.tokens = 1;
  args.width = 4;
  gpu.run(gpu.kernels().silu_mul, args);
  const auto out = gpu.get(static_cast<const uint16_t*>(args.out), 4);
  EXPECT_EQ(kernels::half_to_float(out[0]), 65504);
  EXPECT_EQ(kernels::half_to_float(out[1]), -65504);
  EXPECT_EQ(kernels::half_to_float(out[2]), 600);
  EXPECT_TRUE(std::isnan(kernels::half_to_float(out[3])));
}

struct RescaleCase {
  int tokens, rows;
  bool integers, scales, bias, accumulate, in_place;
};

TEST(Rescale, IsWhatItsFormulaSays) {
  const RescaleCase cases[] = {{3, 1, false, true, true, false, false},
                               {2, 1029, true, true, false, true, false},
                               {1, 2048, true, true, true, false, true},
                               {4, 333, false, false, true, false, true},
                               {2, 1024, false, true, false, true, false}};
  for (const RescaleCase& c : cases) {
    for (const simt::Order order : orders()) {
      SCOPED_TRACE(testing::Message() << c.tokens << 'x' << c.rows);
      TestGpu gpu(order);
      const size_t count = static_cast<size_t>(c.tokens) * c.rows;
      const auto floats = random_floats(count, 1, 1000), before = random_floats(count, 2);
      const auto x_scales = random_floats(static_cast<size_t>(c.tokens), 3);
      const auto row_scales = random_floats(static_cast<size_t>(c.rows), 4);
      const auto bias = random_floats(static_cast<size_t>(c.rows), 5);
      std::vector<int32_t> integers(floats.begin(), floats.end());
      RescaleArgs args;
      args.integers = c.integers;
      args.sums = c.integers ? static_cast<void*>(gpu.put(integers)) : gpu.put(floats);
      if (c.scales) args.x_scales = gpu.put(x_scales);
      if (c.scales) args.row_scales = gpu.put(row_scales);
      if (c.bias) args.bias = gpu.put(bias);
      args.out = c.accumulate ? gpu.put(before) : gpu.empty<float>(count);
      if (c.in_place) args.out = static_cast<float*>(const_cast<void*>(args.sums));
      args.tokens = c.tokens;
      args.rows = c.rows;
      args.accumulate = c.accumulate;
      gpu.run(gpu.kernels().rescale, args);
      std::vector<double> expected;
      for (size_t i = 0; i < count; ++i) {
        double value = c.integers ? integers[i] : floats[i];
        if (c.scales) value *= double{x_scales[i / c.rows]} * row_scales[i % c.rows];
        if (c.bias) value += bias[i % c.rows];
        expected.push_back(c.accumulate ? value + before[i] : value);
      }
      EXPECT_LT(relative_error(gpu.get(args.out, count), expected), 1e-6);
    }
  }
}

// Of an NVFP4 operand: 128 rows by 4 scales are 32 lines of 16 bytes, of rows r, r + 32, r + 64 and
// r + 96.
double nvfp4_scale(const std::vector<uint8_t>& scales, int row, int column, int columns) {
  const int group = column / 16, across = (columns / 16 + 3) / 4;
  const size_t tile = static_cast<size_t>(row / 128) * across + group / 4;
  return e4m3_value(scales[tile * 512 + row % 32 * 16 + row % 128 / 32 * 4 + group % 4]);
}

double nvfp4_value(const std::vector<uint8_t>& data, const std::vector<uint8_t>& scales, int row,
                   int column, int columns) {
  const double magnitudes[] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  const uint8_t byte = data[(static_cast<size_t>(row) * columns + column) / 2];
  const int bits = column % 2 ? byte >> 4 : byte & 15;
  return (bits & 8 ? -1 : 1) * magnitudes[bits & 7] * nvfp4_scale(scales, row, column, columns);
}

TEST(QuantizeNvfp4, RoundsToTheNearest) {
  for (const auto& [tokens, width] :
       std::vector<std::pair<int, int>>{{1, 32}, {3, 96}, {2, 1056}, {130, 160}, {1, 4128}}) {
    for (const simt::Order order : orders()) {
      SCOPED_TRACE(testing::Message() << tokens << 'x' << width);
      TestGpu gpu(order);
      const size_t count = static_cast<size_t>(tokens) * width;
      auto x = random_floats(count, 7);
      for (int i = 0; i < 16; ++i) x[i] = 0;          // a group of nothing
      for (int i = 16; i < 32; ++i) x[i] *= 1000.0f;  // one that makes the others small
      const size_t scale_bytes = block_scales_bytes(tokens, width);
      QuantizeNvfp4Args args;
      args.x = gpu.put(x);
      args.out = gpu.empty<uint8_t>(count / 2);
      args.scales = gpu.put(std::vector<uint8_t>(scale_bytes));
      args.factors = gpu.empty<float>(static_cast<size_t>(tokens));
      args.tokens = tokens;
      args.width = width;
      gpu.run(gpu.kernels().quantize_nvfp4, args);
      const auto data = gpu.get(static_cast<const uint8_t*>(args.out), count / 2);
      const auto scales = gpu.get(args.scales, scale_bytes);
      const auto factors = gpu.get(args.factors, static_cast<size_t>(tokens));
      for (int t = 0; t < tokens; ++t) {
        for (int c = 0; c < width; ++c) {
          const size_t at = static_cast<size_t>(t) * width + c;
          const float* group = &x[at - c % 16];
          double largest = 0;
          for (int i = 0; i < 16; ++i) largest = std::max(largest, std::fabs(double{group[i]}));
          const double scale = factors[t] * nvfp4_scale(scales, t, c, width);
          // Of E4M3: a sixteenth of it, or half of the least that there is.
          ASSERT_NEAR(6 * scale, largest, largest / 16 + 6 * factors[t] * 0x1p-10);
          const double error =
              std::fabs(nvfp4_value(data, scales, t, c, width) * factors[t] - x[at]);
          for (const double other : {0., .5, 1., 1.5, 2., 3., 4., 6.}) {
            ASSERT_LE(error, std::fabs(std::fabs(x[at]) - other * scale) + 1e-5 * largest)
                << "token " << t << " at " << c;
          }
        }
      }
    }
  }
}

TEST(PackNvfp4, KeepsEveryValue) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int, int>>{{1, 32}, {5, 96}, {131, 160}, {2, 4128}}) {
    for (const simt::Order order : orders()) {
      SCOPED_TRACE(testing::Message() << rows << 'x' << columns);
      TestGpu gpu(order);
      const HostMatrix matrix = random_matrix(Format::kNvfp4, rows, columns, 3);
      const size_t bytes = static_cast<size_t>(rows) * columns / 2;
      const size_t scale_bytes = block_scales_bytes(rows, columns);
      PackNvfp4Args args;
      args.matrix = matrix.on(gpu);
      args.out = gpu.empty<uint8_t>(bytes);
      args.scales = gpu.put(std::vector<uint8_t>(scale_bytes));
      gpu.run(gpu.kernels().pack_nvfp4, args);
      const auto data = gpu.get(static_cast<const uint8_t*>(args.out), bytes);
      const auto scales = gpu.get(args.scales, scale_bytes);
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          ASSERT_FLOAT_EQ(
              static_cast<float>(nvfp4_value(data, scales, r, c, columns) * matrix.factor),
              static_cast<float>(matrix.value(r, c)))
              << r << ", " << c;
        }
      }
    }
  }
}

TEST(Embed, GathersRowsOfEveryFormat) {
  for (int f = 0; f < kFormats; ++f) {
    const auto format = static_cast<Format>(f);
    for (const simt::Order order : orders()) {
      SCOPED_TRACE(name(format));
      TestGpu gpu(order);
      const int columns = 32 * 19;
      const HostMatrix table = random_matrix(format, 7, columns, 5);
      const std::vector<int32_t> ids = {6, 0, 3, 3, 7, -1};  // two are outside
      EmbedArgs args;
      args.table = table.on(gpu);
      args.ids = gpu.put(ids);
      args.out = gpu.empty<float>(ids.size() * columns);
      args.tokens = static_cast<int>(ids.size());
      gpu.run(gpu.kernels().embed, args);
      const auto out = gpu.get(args.out, ids.size() * columns);
      for (size_t t = 0; t < ids.size(); ++t) {
        for (int i = 0; i < columns; ++i) {
          const bool known = ids[t] >= 0 && ids[t] < 7;
          const double expected = known ? table.value(ids[t], i) : 0;
          ASSERT_NEAR(out[t * columns + i], expected, std::abs(expected) * 1e-6 + 1e-7)
              << t << ' ' << i;
        }
      }
    }
  }
}

TEST(Dequantize, GivesEveryFormatsValues) {
  for (int f = 0; f < kFormats; ++f) {
    for (const Element element : {Element::kF32, Element::kF16, Element::kBF16}) {
      const auto format = static_cast<Format>(f);
      SCOPED_TRACE(name(format));
      TestGpu gpu(simt::Order::kRandom);
      const int rows = 3, columns = 32 * 5;
      const HostMatrix matrix = random_matrix(format, rows, columns, 9);
      DequantizeArgs args;
      args.matrix = matrix.on(gpu);
      args.element = element;
      args.out = gpu.empty<float>(static_cast<size_t>(rows) * columns);
      gpu.run(gpu.kernels().dequantize, args);
      std::vector<double> expected;
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) expected.push_back(matrix.value(r, c));
      }
      expect_rows(read_rows(gpu, args.out, nullptr, element, rows, columns), expected, columns,
                  rounding(element));
    }
  }
}

}  // namespace
}  // namespace mokume::cuda
