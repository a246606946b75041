#include "bench/kernels/row_bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <functional>
#include <map>

#include "tests/kernels/cases.h"

namespace mokume::bench {
namespace {

using namespace kernels;

constexpr int kSlices = 12, kHeadDim = 64;
constexpr double kSliceSeconds = 0.01;

/// One thread's row and all that the kernels want beside it.
struct Row {
  explicit Row(int width)
      : columns(width),
        x(random_floats(static_cast<size_t>(width), 3)),
        other(random_floats(static_cast<size_t>(width), 5)),
        out(static_cast<size_t>(width)),
        quantized(1, width) {}

  int columns;
  std::vector<float> x, other, out;
  QuantizedStorage quantized;
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  /// What a kernel made of it.
  std::vector<float> result() const {
    std::vector<float> all = x;
    all.insert(all.end(), out.begin(), out.end());
    for (size_t i = 0; i < quantized.values.size(); ++i) {
      all.push_back(quantized.values[i] * quantized.scales[i / kGroup]);
    }
    return all;
  }
};

struct RowKernel {
  std::function<void(const CpuKernels&, Row&)> run;
  double bytes;      ///< read and written, a column
  double tolerance;  ///< relative, and absolute below 1
};

const std::map<std::string, RowKernel>& table() {
  static const std::map<std::string, RowKernel> kTable = {
      {"quantize_rows",
       {[](const CpuKernels& k, Row& r) {
          k.quantize_rows(r.x.data(), r.x.size(), 1, r.columns, 0, r.quantized.rows);
        },
        5, 1e-6}},
      {"rms_norm",
       {[](const CpuKernels& k, Row& r) {
          k.rms_norm(r.x.data(), r.other.data(), 1e-5f, r.columns, r.out.data());
        },
        12, 1e-5}},
      {"silu_mul",
       {[](const CpuKernels& k, Row& r) {
          std::copy(r.other.begin(), r.other.end(), r.out.begin());
          k.silu_mul(r.out.data(), r.x.data(), r.columns);
        },
        20, 1e-5}},
      {"sigmoid_mul",
       {[](const CpuKernels& k, Row& r) {
          std::copy(r.other.begin(), r.other.end(), r.out.begin());
          k.sigmoid_mul(r.out.data(), r.x.data(), r.columns);
        },
        20, 1e-5}},
      {"rope",
       {[](const CpuKernels& k, Row& r) {
          std::copy(r.x.begin(), r.x.end(), r.out.begin());
          k.rope(r.out.data(), r.columns / kHeadDim, kHeadDim, kHeadDim, false, r.other.data());
        },
        16, 1e-5}}};
  return kTable;
}

std::optional<std::string> check(const RowKernel& kernel, const CpuKernels& kernels, int columns) {
  Row expected(columns), actual(columns);
  kernel.run(*cpu_kernels(Isa::kScalar), expected);
  kernel.run(kernels, actual);
  const auto a = actual.result(), e = expected.result();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::fabs(a[i] - e[i]) <= kernel.tolerance * std::max(1.0f, std::fabs(e[i]))) continue;
    return "element " + std::to_string(i) + ": " + std::to_string(a[i]) + ", not " +
           std::to_string(e[i]);
  }
  return std::nullopt;
}

}  // namespace

const std::vector<std::string>& row_kernels() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const auto& [name, kernel] : table()) names.push_back(name);
    return names;
  }();
  return kNames;
}

Figures bench_rows(const Setting& setting, const std::string& name, int columns, bool only_check) {
  const RowKernel& kernel = table().at(name);
  Figures figures;
  figures.wrong = check(kernel, setting.kernels, columns);
  if (figures.wrong || only_check) return figures;

  std::deque<Row> rows;  // which do not move: their quantized rows point into themselves
  for (int i = 0; i < setting.crew.threads(); ++i) rows.emplace_back(columns);
  const auto seconds = [&](int times, const auto& work) {
    return setting.crew.time([&](int thread) {
      for (int i = 0; i < times; ++i) work(rows[static_cast<size_t>(thread)]);
    });
  };
  const auto run = [&](Row& row) { kernel.run(setting.kernels, row); };
  const auto copy = [](Row& row) {
    std::memcpy(row.out.data(), row.x.data(), row.x.size() * sizeof(float));
    asm volatile("" : : "r"(row.out.data()) : "memory");  // each copy is made
  };
  const int times = std::max(1, static_cast<int>(kSliceSeconds / seconds(100, run) * 100));
  const double amount = static_cast<double>(columns) * times * setting.crew.threads();
  std::vector<double> rates, limits, shares;
  for (int slice = 0; slice < kSlices; ++slice) {
    limits.push_back(8 * amount / seconds(times, copy));
    rates.push_back(kernel.bytes * amount / seconds(times, run));
    shares.push_back(rates.back() / limits.back());
  }
  return {{}, median(rates), median(limits), median(shares), "GB/s", "copying in cache"};
}

}  // namespace mokume::bench
