// Made-up inputs shared by the kernel tests: seeded, with the odd values that real data has.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/common/half.h"
#include "kernels/cpu/kernels.h"
#include "tests/kernels/weight_types.h"

namespace mokume::kernels {

/// 64-byte aligned storage.
template <typename T>
struct Aligned {
  std::vector<T> storage;
  T* data = nullptr;
  explicit Aligned(size_t count) : storage(count + 64 / sizeof(T) + 1) {
    auto address = reinterpret_cast<uintptr_t>(storage.data());
    data = reinterpret_cast<T*>((address + 63) / 64 * 64);
  }
};

inline std::vector<float> random_floats(size_t count, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& v : values) v = normal(random);
  return values;
}

/// A matrix in its file layout: every bit pattern of the quants occurs, the scales are moderate.
struct SourceMatrix {
  std::vector<uint8_t> bytes;
  size_t row_bytes = 0;
};

/// Moderate scales for one block.
inline void randomize_scales(const WeightType& type, std::mt19937& random, uint8_t* block) {
  std::normal_distribution<float> scales(0, 0.01f);
  const auto write = [&](size_t at) {
    const uint16_t half = float_to_half(scales(random));
    std::memcpy(block + at, &half, 2);
  };
  if (type.block == BlockType::kMXFP4) {
    block[0] = static_cast<uint8_t>(115 + random() % 8);
  } else if (type.block == BlockType::kQ6_K) {
    write(208);
  } else if (type.block != BlockType::kNVFP4) {
    write(0);
    if (has_minimums(type.format)) write(2);
  }
}

inline SourceMatrix random_matrix(const WeightType& type, int rows, int columns, uint32_t seed) {
  std::mt19937 random(seed);
  SourceMatrix m;
  m.row_bytes = static_cast<size_t>(columns / type.columns) * type.bytes;
  m.bytes.resize(m.row_bytes * rows);
  if (is_quantized(type.format)) {
    for (auto& b : m.bytes) b = static_cast<uint8_t>(random());
    for (size_t at = 0; at < m.bytes.size(); at += type.bytes)
      randomize_scales(type, random, &m.bytes[at]);
    return m;
  }
  const auto values = random_floats(static_cast<size_t>(rows) * columns, seed);
  for (size_t i = 0; i < values.size(); ++i) {
    if (type.format == Format::kF32) std::memcpy(&m.bytes[i * 4], &values[i], 4);
    const uint32_t bits = std::bit_cast<uint32_t>(values[i]);
    const uint16_t half =
        type.format == Format::kF16 ? float_to_half(values[i]) : static_cast<uint16_t>(bits >> 16);
    if (type.format != Format::kF32) std::memcpy(&m.bytes[i * 2], &half, 2);
  }
  return m;
}

struct Packed {
  PackedMatrix matrix;
  Aligned<uint8_t> storage;
  Packed(const WeightType& type, int rows, int columns, const SourceMatrix& source,
         float tensor_scale = 1)
      : matrix{type.format, nullptr, rows, columns},
        storage(matrix.panel_bytes() * static_cast<size_t>(matrix.panels())) {
    matrix.data = storage.data;
    for (int p = 0; p < matrix.panels(); ++p) {
      uint8_t* panel = storage.data + p * matrix.panel_bytes();
      if (type.block) {
        pack_block_panel(matrix, p, *type.block, source.bytes.data(), source.row_bytes,
                         tensor_scale, panel);
      } else {
        pack_panel(matrix, p, source.bytes.data(), source.row_bytes, panel);
      }
    }
  }
};

/// Owns what QuantizedRows points to.
struct QuantizedStorage {
  std::vector<int8_t> values;
  std::vector<float> scales, scaled_sums;
  std::vector<int32_t> negated_sums, negated_half_sums;
  QuantizedRows rows;
  QuantizedStorage(int count, int columns) {
    const int padded = (columns + kBlock - 1) / kBlock * kBlock;
    const size_t groups = static_cast<size_t>(count) * padded / kGroup;
    values.resize(static_cast<size_t>(count) * padded);
    scales.resize(groups);
    scaled_sums.resize(groups);
    negated_sums.resize(groups);
    negated_half_sums.resize(2 * groups);
    rows = {values.data(),
            scales.data(),
            scaled_sums.data(),
            negated_sums.data(),
            negated_half_sums.data(),
            padded};
  }
};

inline std::vector<Isa> machine_isas() {
  std::vector<Isa> isas;
  for (Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512Vnni}) {
    if (cpu_kernels(isa)) isas.push_back(isa);
  }
  return isas;
}

inline std::string isa_name(Isa isa) {
  std::string name = cpu_kernels(isa)->name;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

}  // namespace mokume::kernels
