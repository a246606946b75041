// What a stage multiplies by is what the checkpoint says.
#include "device/cpu/packed_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "model/linear.h"
#include "tensor/float8.h"

namespace mokume {
namespace {

ProductEngines& kernels_only() {
  static ProductEngines engines(kernels::best_cpu_kernels(), 2, ProductEngines::Use::kKernels);
  return engines;
}

/// A linear layer of random bytes, and room for its packed form.
struct MadeLinear {
  std::vector<uint8_t> weight, scales;
  Linear linear;
  std::vector<uint8_t> storage;

  MadeLinear(DType type, int64_t rows, int64_t columns) {
    weight = random_bytes(static_cast<size_t>(rows) * *row_bytes(type, columns));
    linear.weight = view("w", weight, type, rows, columns);
    if (type == DType::kI8 || type == DType::kF8_E4M3) {
      for (auto& byte : weight) {
        if (type == DType::kF8_E4M3 && (byte & 0x7f) == 0x7f) byte = 1;
      }
      std::uniform_real_distribution<float> uniform(1e-4f, 1e-2f);
      scales.resize(static_cast<size_t>(rows) * sizeof(float));
      for (int64_t r = 0; r < rows; ++r) {
        const float scale = uniform(random);
        std::memcpy(&scales[static_cast<size_t>(r) * sizeof(float)], &scale, sizeof(scale));
      }
      linear.scales = view("w_scale", scales, DType::kF32, rows, 1);
    } else if (type == DType::kE2M1) {
      scales = random_bytes(static_cast<size_t>(rows * columns / 16));
      for (auto& byte : scales) byte = static_cast<uint8_t>(1 + byte % 126);
      linear.scales = view("w_scale", scales, DType::kF8_E4M3, rows, columns / 16);
    }
    storage.resize(packed_bytes(linear.weight, kernels_only()) + 64);
  }

  Result<PackedLinear> pack(const WeightSource* source = nullptr) {
    const auto address = reinterpret_cast<uintptr_t>(storage.data());
    return pack_linear(linear, reinterpret_cast<uint8_t*>((address + 63) / 64 * 64), pool, source,
                       kernels_only());
  }

  /// The largest distance of a packed value from the checkpoint's, relative to it.
  double worst() {
    const auto packed = pack();
    EXPECT_TRUE(packed.ok()) << packed.status();
    if (!packed.ok()) return INFINITY;
    double worst = 0;
    std::vector<float> row(static_cast<size_t>(linear.weight.columns()));
    for (int n = 0; n < packed->matrix.rows; ++n) {
      dequantize_linear_row(linear, n, row);
      for (int k = 0; k < packed->matrix.columns; ++k) {
        const double off = std::fabs(kernels::packed_value(packed->matrix, n, k) - row[k]);
        if (off > 0) worst = std::max(worst, off / std::fabs(row[k]));
      }
    }
    return worst;
  }

 private:
  std::mt19937 random{7};
  ThreadPool pool{2, {}};

  std::vector<uint8_t> random_bytes(size_t count) {
    std::vector<uint8_t> bytes(count);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random());
    return bytes;
  }
  static TensorView view(const char* name, const std::vector<uint8_t>& bytes, DType type,
                         int64_t rows, int64_t columns) {
    TensorView view{name, reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), type, 2};
    view.shape = {rows, columns};
    return view;
  }
};

TEST(PackedLinear, HoldsEveryValueOfTypesWithScalesARow) {
  EXPECT_EQ(MadeLinear(DType::kI8, 37, 100).worst(), 0);
  EXPECT_EQ(MadeLinear(DType::kF8_E4M3, 37, 99).worst(), 0);
}

// A group's factor is rounded in another order than the formats say: by less than 1e-5.
TEST(PackedLinear, HoldsNvfp4WithTheScaleOfItsTensor) {
  for (DType type : {DType::kE2M1, DType::kNVFP4}) {
    for (const auto& [scale, divisor] :
         {std::pair{1.0f, 1.0f}, {0.00037f, 1.0f}, {1.0f, 8064.3f}}) {
      MadeLinear made(type, 33, 192);
      made.linear.scale = scale;
      made.linear.divisor = divisor;
      EXPECT_LE(made.worst(), scale == divisor ? 0 : 2e-7) << dtype_info(type).name << scale;
    }
  }
}

TEST(PackedLinear, TakesFourAndAHalfBitsForNvfp4AndEightForInt8) {
  const MadeLinear nvfp4(DType::kE2M1, 64, 512), blocks(DType::kNVFP4, 64, 512);
  EXPECT_EQ(packed_bytes(nvfp4.linear.weight, kernels_only()), 64u * 512 * 9 / 16);
  EXPECT_EQ(packed_bytes(blocks.linear.weight, kernels_only()), 64u * 512 * 9 / 16);
  EXPECT_EQ(packed_bytes(MadeLinear(DType::kI8, 64, 512).linear.weight, kernels_only()),
            64u * 512 + 64 * 4);
  EXPECT_EQ(packed_bytes(MadeLinear(DType::kF8_E4M3, 64, 512).linear.weight, kernels_only()),
            64u * 512 + 64 * 4);
  EXPECT_EQ(packed_bytes(MadeLinear(DType::kMXFP4, 64, 512).linear.weight, kernels_only()),
            64u * 512 * 17 / 32);
}

TEST(PackedLinear, RefusesScalesThatDoNotCoverTheWeight) {
  MadeLinear none(DType::kI8, 16, 64);
  none.linear.scales = {};
  EXPECT_EQ(none.pack().status().code(), absl::StatusCode::kInvalidArgument);
  MadeLinear few(DType::kE2M1, 16, 64);
  few.linear.scales.bytes -= 1;
  EXPECT_EQ(few.pack().status().code(), absl::StatusCode::kInvalidArgument);
  MadeLinear other_type(DType::kF8_E4M3, 16, 64);
  other_type.linear.scales.dtype = DType::kF16;
  EXPECT_EQ(other_type.pack().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PackedLinear, RefusesWeightsThatAreNan) {
  MadeLinear made(DType::kF8_E4M3, 20, 64);
  made.weight[19 * 64 + 63] = 0xff;
  const auto packed = made.pack();
  EXPECT_EQ(packed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(packed.status().message().find("tensor w"), std::string::npos) << packed.status();
}

/// Counts what is given back, and how much of it at once.
class CountingSource : public WeightSource {
 public:
  Result<TensorView> tensor(std::string_view) const override { return TensorView{}; }
  bool contains(std::string_view) const override { return false; }
  std::vector<std::string> names() const override { return {}; }
  const std::string& path() const override { return path_; }
  void release(const TensorView& tensor) const override {
    released.push_back({tensor.data, tensor.bytes});
  }
  mutable std::vector<std::span<const std::byte>> released;

 private:
  std::string path_ = "none";
};

TEST(PackedLinear, GivesPagesBackWhileItPacks) {
  MadeLinear made(DType::kI8, 20'000, 1024);  // 20 MB
  const CountingSource source;
  ASSERT_TRUE(made.pack(&source).ok());
  const std::byte* next = made.linear.weight.data;
  size_t slices = 0;
  for (; next < made.linear.weight.data + made.linear.weight.bytes; ++slices) {
    ASSERT_LT(slices, source.released.size());
    ASSERT_EQ(source.released[slices].data(), next);
    ASSERT_LE(source.released[slices].size(), 8u << 20);
    next += source.released[slices].size();
  }
  EXPECT_GE(slices, 3u);
  EXPECT_EQ(source.released.back().data(), made.linear.scales.data);
}

}  // namespace
}  // namespace mokume
