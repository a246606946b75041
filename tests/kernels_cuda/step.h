// A step of several sequences, and keys and values in pages, for the kernels that mix tokens.
#pragma once

#include <algorithm>
#include <map>
#include <numeric>

#include "kernels/common/half.h"
#include "tests/kernels_cuda/harness.h"

namespace mokume::cuda {

struct MadeSequence {
  int first_position, tokens;
};

/// Sequences' tokens one behind the other, then `padded` tokens that belong to none; pages in
/// random order.
struct MadeStep {
  std::vector<MadeSequence> made;
  std::vector<int32_t> positions, sequences, first_tokens = {0}, page_table, slots;
  int page_tokens, page_stride = 1, pages = 0;

  MadeStep(std::vector<MadeSequence> of, int tokens_of_page, unsigned seed, int padded = 0)
      : made(std::move(of)), page_tokens(tokens_of_page) {
    for (const MadeSequence& s : made) page_stride = std::max(page_stride, pages_of(s) + 1);
    pages = page_stride * static_cast<int>(made.size());
    page_table.resize(static_cast<size_t>(pages));
    std::iota(page_table.begin(), page_table.end(), 0);
    std::shuffle(page_table.begin(), page_table.end(), std::mt19937(seed));
    for (size_t i = 0; i < made.size(); ++i) {
      for (int t = 0; t < made[i].tokens; ++t) {
        positions.push_back(made[i].first_position + t);
        sequences.push_back(static_cast<int32_t>(i));
      }
      first_tokens.push_back(static_cast<int32_t>(positions.size()));
      slots.push_back(static_cast<int32_t>(made.size() - i));  // slot 0 is nobody's
    }
    positions.resize(positions.size() + padded, -1);
    sequences.resize(positions.size(), 0);
  }

  int pages_of(const MadeSequence& s) const {
    return (s.first_position + s.tokens + page_tokens - 1) / page_tokens;
  }
  int tokens() const { return static_cast<int>(positions.size()); }
  int longest() const {
    return positions.empty() ? 0 : *std::max_element(positions.begin(), positions.end()) + 1;
  }
  /// Where a position of a sequence lies among all pages' positions of one head.
  size_t place(int sequence, int position, int kv_heads, int head) const {
    const auto page = static_cast<size_t>(
        page_table[static_cast<size_t>(sequence) * page_stride + position / page_tokens]);
    return (page * kv_heads + head) * page_tokens + position % page_tokens;
  }
  StepView on(TestGpu& gpu) const {
    StepView view;
    view.positions = gpu.put(positions);
    view.sequences = gpu.put(sequences);
    view.first_tokens = gpu.put(first_tokens);
    view.page_table = gpu.put(page_table);
    view.state_slots = gpu.put(slots);
    view.page_stride = page_stride;
    view.tokens = tokens();
    view.sequence_count = static_cast<int>(made.size());
    return view;
  }
};

inline double e4m3_of(uint8_t bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  const double magnitude =
      exponent == 0 ? mantissa * 0x1p-9 : std::ldexp(1 + mantissa / 8.0, exponent - 7);
  return bits & 0x80 ? -magnitude : magnitude;
}

/// Element i of an array of `element`, without its scale.
inline double element_value(const void* data, Element element, size_t i) {
  switch (element) {
    case Element::kF32:
      return static_cast<const float*>(data)[i];
    case Element::kF16:
      return kernels::half_to_float(static_cast<const uint16_t*>(data)[i]);
    case Element::kBF16: {
      const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(data)[i]) << 16;
      float value;
      std::memcpy(&value, &bits, 4);
      return value;
    }
    case Element::kInt8:
      return static_cast<const int8_t*>(data)[i];
    default:
      return e4m3_of(static_cast<const uint8_t*>(data)[i]);
  }
}

/// Pages of a cache; only what is written by rope_append (or fill) counts as written.
struct MadeCache {
  KvCache kv;
  size_t rows;
  TestGpu* gpu;
  /// Rows that were asked for, of keys and of values; a cache is read when it is full.
  mutable std::map<std::pair<bool, size_t>, std::vector<double>> read;

  MadeCache(TestGpu& on, const MadeStep& step, Element element, int kv_heads, int head_dim)
      : rows(static_cast<size_t>(step.pages) * kv_heads * step.page_tokens), gpu(&on) {
    const size_t bytes = rows * head_dim * element_bytes(element);
    kv.keys = on.empty<uint8_t>(bytes);
    kv.values = on.empty<uint8_t>(bytes);
    if (element_bytes(element) == 1) {
      kv.key_scales = on.empty<float>(rows);
      kv.value_scales = on.empty<float>(rows);
    }
    kv.element = element;
    kv.page_tokens = step.page_tokens;
    kv.kv_heads = kv_heads;
    kv.head_dim = head_dim;
  }
  double value(bool of_keys, size_t row, int d) const {
    std::vector<double>& values = read[{of_keys, row}];
    if (values.empty()) values = read_row(of_keys, row);
    return values[static_cast<size_t>(d)];
  }

 private:
  std::vector<double> read_row(bool of_keys, size_t row) const {
    const size_t bytes = kv.head_dim * element_bytes(kv.element);
    const auto* const data = static_cast<const uint8_t*>(of_keys ? kv.keys : kv.values);
    const std::vector<uint8_t> raw = gpu->get(data + row * bytes, bytes);
    const float* const scales = of_keys ? kv.key_scales : kv.value_scales;
    const double scale = scales ? gpu->get(scales + row, 1)[0] : 1;
    std::vector<double> values;
    for (int d = 0; d < kv.head_dim; ++d) {
      values.push_back(element_value(raw.data(), kv.element, d) * scale);
    }
    return values;
  }
};

}  // namespace mokume::cuda
