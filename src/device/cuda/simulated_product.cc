#include "device/cuda/simulated_product.h"

#include <cstring>
#include <vector>

#include "tensor/float8.h"
#include "tensor/half.h"

namespace mokume::cuda {
namespace {

size_t factor_bytes(ProductType type, int rows, int columns) {
  const size_t elements = static_cast<size_t>(rows) * static_cast<size_t>(columns);
  if (type == ProductType::kF16 || type == ProductType::kBF16) return 2 * elements;
  return type == ProductType::kNvfp4 ? elements / 2 : elements;
}

float element(ProductType type, const uint8_t* data, size_t index) {
  uint16_t both = 0;
  switch (type) {
    case ProductType::kF16:
    case ProductType::kBF16:
      std::memcpy(&both, data + 2 * index, sizeof(both));
      return type == ProductType::kF16 ? half_to_float(both) : bfloat16_to_float(both);
    case ProductType::kInt8:
      return static_cast<float>(static_cast<int8_t>(data[index]));
    case ProductType::kF8:
      return e4m3_to_float(data[index]);
    default:
      return e2m1_to_float(data[index / 2] >> (index % 2 * 4) & 15);
  }
}

template <typename T>
std::vector<T> values_of(const ProductShape& shape, const void* data, const void* scales,
                         int rows) {
  const auto columns = static_cast<size_t>(shape.columns);
  const auto* const bytes = static_cast<const uint8_t*>(data);
  std::vector<T> values(static_cast<size_t>(rows) * columns);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<T>(element(shape.type, bytes, i));
    if (shape.type != ProductType::kNvfp4) continue;
    const auto row = static_cast<int>(i / columns), group = static_cast<int>(i % columns / 16);
    const size_t at = block_scale_at(row, group, shape.columns / 16);
    values[i] *= static_cast<T>(e4m3_to_float(static_cast<const uint8_t*>(scales)[at]));
  }
  return values;
}

/// kLanes sums side by side, then those in their order.
template <int kLanes, typename T>
T dot(const T* a, const T* b, int count) {
  T sums[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < count; ++i) sums[0] += a[i] * b[i];
  T sum = 0;
  for (const T lane : sums) sum += lane;
  return sum;
}

template <typename T>
void multiply(const ProductShape& shape, const ProductArgs& args) {
  const std::vector<T> matrix = values_of<T>(shape, args.matrix, args.matrix_scales, shape.rows);
  const std::vector<T> x = values_of<T>(shape, args.x, args.x_scales, args.tokens);
  T* out = static_cast<T*>(args.out);
  for (int token = 0; token < args.tokens; ++token) {
    for (int row = 0; row < shape.rows; ++row, ++out) {
      const auto columns = static_cast<size_t>(shape.columns);
      const T* const a = matrix.data() + static_cast<size_t>(row) * columns;
      const T* const b = x.data() + static_cast<size_t>(token) * columns;
      T sum = shape.tokens < 128 ? dot<4>(a, b, shape.columns) : dot<8>(a, b, shape.columns);
      if constexpr (std::is_same_v<T, float>) sum *= args.factor;
      *out = args.accumulate ? *out + sum : sum;
    }
  }
}

bool aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

}  // namespace

Status check_simulated_product(const ProductShape& shape, const GpuInfo& gpu) {
  const int capability = 10 * gpu.major + gpu.minor;
  const bool old = (shape.type == ProductType::kF8 && capability < 89) ||
                   (shape.type == ProductType::kNvfp4 && capability < 100);
  int rows = 1, columns = 1;  // that there are multiples of, as tensor cores want them
  if (shape.type == ProductType::kInt8) rows = columns = 4;
  if (shape.type == ProductType::kF8) rows = columns = 16;
  if (shape.type == ProductType::kNvfp4) rows = 16, columns = 32;
  if (!old && shape.rows % rows == 0 && shape.columns % columns == 0) return absl::OkStatus();
  return absl::UnimplementedError("[cuda] the simulated library has no such product");
}

std::string run_simulated_product(const ProductShape& shape, const ProductArgs& args,
                                  simt::Memory& memory) {
  if (args.tokens < 1 || args.tokens > shape.most_tokens) return "a product of too many tokens";
  const bool scaled = shape.type == ProductType::kNvfp4;
  const auto reads = [&](const void* data, const void* scales, int rows) {
    return aligned(data) && memory.written(data, factor_bytes(shape.type, rows, shape.columns)) &&
           (!scaled ||
            (aligned(scales) && memory.written(scales, block_scales_bytes(rows, shape.columns))));
  };
  if (!reads(args.matrix, args.matrix_scales, shape.rows)) return "a product of no matrix";
  if (!reads(args.x, args.x_scales, args.tokens)) return "a product of no input";
  const size_t bytes =
      static_cast<size_t>(args.tokens) * static_cast<size_t>(shape.rows) * sizeof(float);
  if (args.accumulate && !memory.written(args.out, bytes)) return "a product added to nothing";
  if (!aligned(args.out) || !memory.mark(args.out, bytes, true)) return "a product to nowhere";
  shape.type == ProductType::kInt8 ? multiply<int32_t>(shape, args) : multiply<float>(shape, args);
  return "";
}

}  // namespace mokume::cuda
