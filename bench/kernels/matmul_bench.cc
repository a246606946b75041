#include "bench/kernels/matmul_bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "bench/kernels/limits.h"
#include "tests/kernels/cases.h"

namespace mokume::bench {
namespace {

using namespace kernels;

constexpr size_t kWeights = 384u << 20;  ///< bytes that decoding cycles through: more than caches
constexpr size_t kSlice = 96u << 20;     ///< bytes between two looks at memory's speed
constexpr int kSlices = 12;
constexpr int kDecodeTokens = 8;  ///< up to as many, weights are what the time goes to
constexpr double kSliceSeconds = 0.03;

/// A matrix with activations, and room for what comes out.
class Product {
 public:
  Product(const WeightType& type, const MatmulShape& shape)
      : shape_(shape),
        weights_(type, shape.rows, shape.columns,
                 random_matrix(type, shape.rows, shape.columns, 7)),
        x_(random_floats(static_cast<size_t>(shape.tokens) * shape.columns, 11)),
        rounded_(*cpu_kernels(Isa::kScalar), x_.data(), shape.tokens, shape.columns),
        out_(static_cast<size_t>(shape.tokens) * shape.rows) {}

  const PackedMatrix& matrix() const { return weights_.matrix; }

  /// Panels [begin, end) of `w`, a matrix of this shape, for all tokens.
  void run(const CpuKernels& kernels, const PackedMatrix& w, int begin, int end) {
    const MatmulOutput out{out_.data(), static_cast<size_t>(shape_.rows)};
    if (shape_.int8) {
      rounded_.multiply(kernels, w, begin, end, shape_.tokens, out);
    } else {
      kernels.matmul_f32(w, begin, end, x_.data(), x_stride(), shape_.tokens, out);
    }
  }

  /// The whole product by `kernels`, against the reference in some panels and tokens.
  std::optional<std::string> check(const CpuKernels& kernels) {
    std::fill(out_.begin(), out_.end(), NAN);
    run(kernels, matrix(), 0, matrix().panels());
    for (const int panel : some(matrix().panels())) {
      for (const int token : some(shape_.tokens)) {
        if (auto wrong = check(panel, token)) return wrong;
      }
    }
    return std::nullopt;
  }

 private:
  size_t x_stride() const { return static_cast<size_t>(shape_.columns); }
  static std::vector<int> some(int count) {
    return {0, count / 3, count / 2, std::max(0, count - 2), count - 1};
  }

  std::optional<std::string> check(int panel, int token) const {
    const CpuKernels& reference = *cpu_kernels(Isa::kScalar);
    const float* x = x_.data() + static_cast<size_t>(token) * x_stride();
    const int first = panel * kPanelRows, last = std::min(first + kPanelRows, shape_.rows);
    std::vector<float> expected(static_cast<size_t>(shape_.rows));
    const MatmulOutput out{expected.data(), expected.size()};
    if (shape_.int8) {
      const RoundedRows one(reference, x, 1, shape_.columns);
      one.multiply(reference, matrix(), panel, panel + 1, 1, out);
    } else {
      reference.matmul_f32(matrix(), panel, panel + 1, x, x_stride(), 1, out);
    }
    for (int n = first; n < last; ++n) {
      double weight = 0;
      for (int k = 0; k < shape_.columns; ++k) {
        weight += std::fabs(double{packed_value(matrix(), n, k)} * x[k]);
      }
      const float value = out_[static_cast<size_t>(token) * shape_.rows + n];
      if (std::fabs(value - expected[n]) <= 3e-6 * weight + 1e-5) continue;
      return "token " + std::to_string(token) + ", row " + std::to_string(n) + ": " +
             std::to_string(value) + ", not " + std::to_string(expected[n]);
    }
    return std::nullopt;
  }

  const MatmulShape shape_;
  const Packed weights_;
  const std::vector<float> x_;
  RoundedRows rounded_;
  std::vector<float> out_;
};

int part_begin(const Crew& crew, int panels, int thread) {
  return static_cast<int>(int64_t{panels} * thread / crew.threads());
}

/// Copies of the matrix one behind the other, as a model's layers lie.
Figures measure_reading(const Setting& setting, Product& product) {
  const PackedMatrix& matrix = product.matrix();
  const size_t bytes = matrix.panel_bytes() * static_cast<size_t>(matrix.panels());
  const size_t copy = (bytes + 63) / 64 * 64, copies = std::max<size_t>(4, kWeights / copy);
  const size_t at_once = std::clamp<size_t>(kSlice / copy, 1, copies / 2);
  Aligned<uint8_t> storage(copy * copies);
  for (size_t i = 0; i < copies; ++i) std::memcpy(storage.data + i * copy, matrix.data, bytes);

  std::vector<double> rates, limits, shares;
  for (size_t slice = 0, at = 0; slice < kSlices; ++slice) {
    const auto next = [&] { return at = at + 2 * at_once > copies ? 0 : at + at_once; };
    const double reading = read_seconds(setting.crew, {storage.data + at * copy, at_once * copy});
    next();
    const double seconds = setting.crew.time([&](int thread) {
      PackedMatrix w = matrix;
      for (size_t i = at; i < at + at_once; ++i) {
        w.data = storage.data + i * copy;
        product.run(setting.kernels, w, part_begin(setting.crew, w.panels(), thread),
                    part_begin(setting.crew, w.panels(), thread + 1));
      }
    });
    next();
    const auto amount = static_cast<double>(at_once * copy);
    rates.push_back(amount / seconds);
    limits.push_back(amount / reading);
    shares.push_back(reading / seconds);
  }
  return {{}, median(rates), median(limits), median(shares), "GB/s", "reading memory"};
}

Figures measure_multiplying(const Setting& setting, const MatmulShape& shape, Product& product) {
  const auto once = [&](int times) {
    return setting.crew.time([&](int thread) {
      const int panels = product.matrix().panels();
      for (int i = 0; i < times; ++i) {
        product.run(setting.kernels, product.matrix(), part_begin(setting.crew, panels, thread),
                    part_begin(setting.crew, panels, thread + 1));
      }
    });
  };
  const int times = std::clamp(static_cast<int>(kSliceSeconds / once(1)), 1, 10'000);
  const double operations = 2.0 * shape.rows * shape.columns * shape.tokens * times;
  std::vector<double> rates, limits, shares;
  for (int slice = 0; slice < kSlices; ++slice) {
    const double limit = shape.int8 ? int8_peak(setting.crew, setting.kernels.isa)
                                    : f32_peak(setting.crew, setting.kernels.isa);
    rates.push_back(operations / once(times));
    limits.push_back(limit);
    if (limit > 0) shares.push_back(rates.back() / limit);
  }
  return {{},
          median(rates),
          median(limits),
          median(shares),
          "GOP/s",
          shape.int8 ? "int8 dot products" : "f32 multiply-adds"};
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Figures bench_matmul(const Setting& setting, const WeightType& type, const MatmulShape& shape,
                     bool only_check) {
  Product product(type, shape);
  Figures figures;
  figures.wrong = product.check(setting.kernels);
  if (figures.wrong || only_check) return figures;
  return shape.tokens <= kDecodeTokens ? measure_reading(setting, product)
                                       : measure_multiplying(setting, shape, product);
}

}  // namespace mokume::bench
