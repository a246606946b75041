// Made-up inputs shared by the kernel tests: seeded, with the odd values that real data has.
#pragma once

#include <algorithm>
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
struct MadeMatrix {
  std::vector<uint8_t> bytes, scales;
  size_t row_bytes = 0, scale_row_bytes = 0;

  const uint8_t* row(int n) const { return bytes.data() + n * row_bytes; }
  const uint8_t* row_scales(int n) const { return scales.data() + n * scale_row_bytes; }
};

/// Moderate scales for one block.
inline void randomize_scales(const WeightType& type, std::mt19937& random, uint8_t* block) {
  std::normal_distribution<float> scales(0, 0.01f);
  const auto write = [&](size_t at) {
    const uint16_t half = float_to_half(scales(random));
    std::memcpy(block + at, &half, 2);
  };
  if (type.type == SourceType::kMXFP4) {
    block[0] = static_cast<uint8_t>(115 + random() % 8);
  } else if (type.type == SourceType::kQ6_K) {
    write(208);
  } else if (type.header_bytes >= 2 && type.type != SourceType::kNVFP4) {
    write(0);
    if (type.header_bytes >= 4) write(2);
  } else if (type.type == SourceType::kF8 && (block[0] & 0x7f) == 0x7f) {
    block[0] = 0x80;  // no NaN
  }
}

/// Scales in a matrix of their own: any E4M3 but 0 and NaN, or floats.
inline std::vector<uint8_t> random_scales(const WeightType& type, int rows, int columns,
                                          std::mt19937& random) {
  std::vector<uint8_t> scales(scale_row_bytes(type, columns) * rows);
  if (type.type == SourceType::kE2M1) {
    for (auto& scale : scales) scale = static_cast<uint8_t>(1 + random() % 126);
    return scales;
  }
  std::uniform_real_distribution<float> uniform(0.001f, 0.02f);
  for (size_t i = 0; i < scales.size(); i += 4) {
    const float scale = uniform(random);
    std::memcpy(&scales[i], &scale, 4);
  }
  return scales;
}

inline MadeMatrix random_matrix(const WeightType& type, int rows, int columns, uint32_t seed) {
  std::mt19937 random(seed);
  MadeMatrix m;
  m.row_bytes = static_cast<size_t>(columns / type.columns) * type.bytes;
  m.scale_row_bytes = scale_row_bytes(type, columns);
  m.bytes.resize(m.row_bytes * rows);
  m.scales = random_scales(type, rows, columns, random);
  if (type.columns > 1 || type.bytes == 1) {
    for (auto& b : m.bytes) b = static_cast<uint8_t>(random());
    for (size_t at = 0; at < m.bytes.size(); at += type.bytes)
      randomize_scales(type, random, &m.bytes[at]);
    return m;
  }
  auto values = random_floats(static_cast<size_t>(rows) * columns, seed);
  for (size_t i = 0; i < values.size(); ++i) {
    // Of at least 1/4 of any other, so that none is rounded.
    if (type.type == SourceType::kF16Rounded)
      values[i] = std::copysign(std::clamp(std::fabs(values[i]), 0.25f, 1.0f), values[i]);
    if (type.format == Format::kF32) std::memcpy(&m.bytes[i * 4], &values[i], 4);
    const uint32_t bits = std::bit_cast<uint32_t>(values[i]);
    const uint16_t half =
        type.format == Format::kBF16 ? static_cast<uint16_t>(bits >> 16) : float_to_half(values[i]);
    if (type.format != Format::kF32) std::memcpy(&m.bytes[i * 2], &half, 2);
  }
  return m;
}

/// `factor` counts in the formats without scales of rows.
struct Packed {
  PackedMatrix matrix;
  Aligned<uint8_t> storage;
  Packed(const WeightType& type, int rows, int columns, const MadeMatrix& source, float factor = 1)
      : matrix{type.format, nullptr, rows, columns, factor},
        storage(matrix.panel_bytes() * static_cast<size_t>(matrix.panels())) {
    matrix.data = storage.data;
    const SourceMatrix view{type.type, source.bytes.data(), source.row_bytes,
                            source.scales.empty() ? nullptr : source.scales.data()};
    for (int p = 0; p < matrix.panels(); ++p)
      pack_panel(matrix, p, view, storage.data + p * matrix.panel_bytes());
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

/// Owns what WideRows points to.
struct WideStorage {
  std::vector<int16_t> values;
  std::vector<float> scales;
  WideRows rows;
  WideStorage(int count, int columns) {
    const int padded = (columns + kBlock - 1) / kBlock * kBlock;
    values.resize(static_cast<size_t>(count) * padded);
    scales.resize(values.size() / kGroup);
    rows = {values.data(), scales.data(), padded};
  }
};

/// A format's activations, rounded, and its product with them.
struct RoundedRows {
  RoundedRows(const CpuKernels& kernels, const float* x, int count, int columns)
      : bytes(count, columns), words(count, columns) {
    const auto stride = static_cast<size_t>(columns);
    kernels.quantize_rows(x, stride, count, columns, 0, bytes.rows);
    kernels.quantize_rows_wide(x, stride, count, columns, 0, words.rows);
  }
  void multiply(const CpuKernels& kernels, const PackedMatrix& w, int panel_begin, int panel_end,
                int tokens, const MatmulOutput& out) const {
    if (is_wide(w.format)) {
      kernels.matmul_int16(w, panel_begin, panel_end, words.rows, tokens, out);
    } else {
      kernels.matmul_int8(w, panel_begin, panel_end, bytes.rows, tokens, out);
    }
  }
  QuantizedStorage bytes;
  WideStorage words;
};

inline std::vector<Isa> machine_isas() {
  std::vector<Isa> isas;
  for (Isa isa : kIsas) {
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
