// Products of packed weights and activations. Included by each instruction set's .cc inside its
// namespace, after its simd header.

/// Calls run with the quantized format as an integral constant; not at all for any other format.
template <typename Run>
void with_quantized_format(Format format, const Run& run) {
  const auto try_format = [&]<Format kFormat>(std::integral_constant<Format, kFormat> constant) {
    if (format == kFormat) run(constant);
  };
  try_format(std::integral_constant<Format, Format::kQ8_0>{});
  try_format(std::integral_constant<Format, Format::kQ4_0>{});
  try_format(std::integral_constant<Format, Format::kQ4_1>{});
  try_format(std::integral_constant<Format, Format::kInt8G32>{});
  try_format(std::integral_constant<Format, Format::kInt8G32Min>{});
  try_format(std::integral_constant<Format, Format::kInt8G16>{});
}

/// Writes 16 rows of one token.
inline void store_rows(const MatmulOutput& out, int token, int row, int rows, Vec value) {
  float* target = out.data + token * out.stride + row;
  const int count = std::min(kPanelRows, rows - row);
  if (count == kPanelRows) {
    (out.accumulate ? Vec::load(target) + value : value).store(target);
  } else {
    (out.accumulate ? Vec::load(target, count) + value : value).store(target, count);
  }
}

/// One group of columns of 16 rows times T tokens, in integers.
template <Format kFormat, int T>
[[gnu::always_inline]] inline void group_products(const uint8_t* quants,
                                                  const int8_t* const (&x)[T], int column,
                                                  Sums (&sums)[T]) {
  if constexpr (!has_nibbles(kFormat)) {
    for (int v = 0; v < group_columns(kFormat) / 4; ++v) {
      const Bytes w = Bytes::load(quants + v * 64);
      for (int t = 0; t < T; ++t) add_products_q8(sums[t], w, x[t] + column + v * 4);
    }
  } else {
    for (int v = 0; v < 4; ++v) {
      const Bytes w = Bytes::load(quants + v * 64);
      const Bytes low = low_nibbles(w), high = high_nibbles(w);
      for (int t = 0; t < T; ++t) add_products(sums[t], low, x[t] + column + v * 4);
      for (int t = 0; t < T; ++t) add_products(sums[t], high, x[t] + column + 16 + v * 4);
    }
  }
}

/// What the integer sum of a group of token `token` starts at, so that the weights' zero point is
/// taken back.
template <Format kFormat>
[[gnu::always_inline]] inline Sums group_start(const QuantizedRows& x, int token, int group) {
  if constexpr (kFormat == Format::kQ4_1) return Sums::zero();
  constexpr int kShare = kGroup / group_columns(kFormat);
  const int32_t* sums = kShare == 1 ? x.negated_sums : x.negated_half_sums;
  const int32_t negated_sum = sums[static_cast<size_t>(token) * x.groups() * kShare + group];
  if constexpr (kFormat == Format::kQ4_0) return Sums::set_shifted(negated_sum, 3);
  return start_q8(negated_sum);
}

/// Scales or minimums of 16 rows.
template <Format kFormat>
[[gnu::always_inline]] inline Vec load_scales(const uint8_t* p) {
  if constexpr (has_float_scales(kFormat)) return Vec::load(reinterpret_cast<const float*>(p));
  return Vec::load_f16(p);
}

/// One panel times T tokens: groups in order, each dot product exact in integers, then scaled and
/// added.
template <Format kFormat, int T>
void int8_tile(const PackedMatrix& w, int panel, const QuantizedRows& x, int token,
               const MatmulOutput& out) {
  constexpr int kParts = block_groups(kFormat);
  constexpr int kColumns = group_columns(kFormat);
  const uint8_t* block = w.panel(panel);
  const int groups = x.padded_columns / kColumns;
  const int8_t* rows[T];
  for (int t = 0; t < T; ++t)
    rows[t] = x.values + static_cast<size_t>(token + t) * x.padded_columns;

  Vec total[T];
  for (int t = 0; t < T; ++t) total[t] = Vec::zero();
  for (int g = 0; g < groups; ++g) {
    const int part = g % kParts;
    Sums sums[T];
    for (int t = 0; t < T; ++t) sums[t] = group_start<kFormat>(x, token + t, g);
    group_products<kFormat, T>(block + part * (quants_bytes(kFormat) / kParts), rows, g * kColumns,
                               sums);
    const size_t meta = static_cast<size_t>(token) * x.groups() + g * kColumns / kGroup;
    const Vec d = load_scales<kFormat>(block + quants_bytes(kFormat) + part * scale_bytes(kFormat));
    for (int t = 0; t < T; ++t) {
      const size_t index = meta + static_cast<size_t>(t) * x.groups();
      total[t] = fma(to_float(sums[t]), d * Vec::set(x.scales[index]), total[t]);
    }
    if constexpr (has_minimums(kFormat)) {
      const Vec m =
          load_scales<kFormat>(block + minimums_at(kFormat) + part * scale_bytes(kFormat));
      for (int t = 0; t < T; ++t) {
        const size_t index = meta + static_cast<size_t>(t) * x.groups();
        total[t] = fma(m, Vec::set(x.scaled_sums[index]), total[t]);
      }
    }
    if (part == kParts - 1) block += block_bytes(kFormat);
  }
  for (int t = 0; t < T; ++t) store_rows(out, token + t, panel * kPanelRows, w.rows, total[t]);
}

template <Format kFormat>
void int8_panels(const PackedMatrix& w, int begin, int end, const QuantizedRows& x, int tokens,
                 const MatmulOutput& out) {
  for (int panel = begin; panel < end; ++panel) {
    for_tiles<kTokenTile>(tokens, [&]<int T>(std::integral_constant<int, T>, int token) {
      int8_tile<kFormat, T>(w, panel, x, token, out);
    });
  }
}

void matmul_int8(const PackedMatrix& w, int panel_begin, int panel_end, const QuantizedRows& x,
                 int tokens, const MatmulOutput& out) {
  const auto run = [&]<Format kFormat>(std::integral_constant<Format, kFormat>) {
    int8_panels<kFormat>(w, panel_begin, panel_end, x, tokens, out);
  };
  with_quantized_format(w.format, run);
}

// ---- float activations ----

/// One column of 16 rows.
template <Format kFormat>
Vec load_column(const uint8_t* p) {
  if constexpr (kFormat == Format::kF32) return Vec::load(reinterpret_cast<const float*>(p));
  if constexpr (kFormat == Format::kF16) return Vec::load_f16(p);
  return Vec::load_bf16(p);
}

/// Sums of even and odd columns apart, so that two chains are in flight.
template <int T>
struct FloatSums {
  Vec even[T], odd[T];
  FloatSums() {
    for (int t = 0; t < T; ++t) even[t] = odd[t] = Vec::zero();
  }
  [[gnu::always_inline]] void add(Vec w, const float* const (&x)[T], int column) {
    Vec(&chain)[T] = column % 2 == 0 ? even : odd;
    for (int t = 0; t < T; ++t) chain[t] = fma(w, Vec::set(x[t][column]), chain[t]);
  }
};

/// Dequantizes a block of 64 columns to floats, [64][16]; columns past the matrix's are 0.
template <Format kFormat>
void widen_block(const uint8_t* block, float* out) {
  constexpr float kZero = !has_nibbles(kFormat) ? 128.0f : kFormat == Format::kQ4_0 ? 8.0f : 0.0f;
  constexpr int kColumns = group_columns(kFormat);
  for (int g = 0; g < block_groups(kFormat); ++g) {
    const Vec d = load_scales<kFormat>(block + quants_bytes(kFormat) + g * scale_bytes(kFormat));
    Vec m = Vec::zero();
    if constexpr (has_minimums(kFormat))
      m = load_scales<kFormat>(block + minimums_at(kFormat) + g * scale_bytes(kFormat));
    const auto write = [&](Bytes quants, int column) {
      for (int i = 0; i < 4; ++i) {
        fma(byte_to_float(quants, i) - Vec::set(kZero), d, m)
            .store(out + (g * kColumns + column + i) * kPanelRows);
      }
    };
    const uint8_t* quants = block + g * (quants_bytes(kFormat) / block_groups(kFormat));
    if constexpr (!has_nibbles(kFormat)) {
      for (int v = 0; v < kColumns / 4; ++v) write(Bytes::load(quants + v * 64), v * 4);
    } else {
      for (int v = 0; v < 4; ++v) {
        const Bytes pairs = Bytes::load(quants + v * 64);
        write(low_nibbles(pairs), v * 4);
        write(high_nibbles(pairs), 16 + v * 4);
      }
    }
  }
}

template <Format kFormat, int T>
void f32_tile(const PackedMatrix& w, int panel, const float* x, size_t x_stride, int token,
              const MatmulOutput& out) {
  const float* rows[T];
  for (int t = 0; t < T; ++t) rows[t] = x + (token + t) * x_stride;
  const uint8_t* block = w.panel(panel);
  FloatSums<T> sums;
  if constexpr (is_quantized(kFormat)) {
    alignas(64) float widened[kBlock * kPanelRows];
    for (int begin = 0; begin < w.columns; begin += kBlock, block += block_bytes(kFormat)) {
      widen_block<kFormat>(block, widened);
      const int count = std::min(kBlock, w.columns - begin);
      for (int k = 0; k < count; ++k)
        sums.add(Vec::load(widened + k * kPanelRows), rows, begin + k);
    }
  } else {
    int k = 0;
    for (; k + 2 <= w.columns; k += 2, block += 2 * block_bytes(kFormat)) {
      sums.add(load_column<kFormat>(block), rows, k);
      sums.add(load_column<kFormat>(block + block_bytes(kFormat)), rows, k + 1);
    }
    if (k < w.columns) sums.add(load_column<kFormat>(block), rows, k);
  }
  for (int t = 0; t < T; ++t) {
    store_rows(out, token + t, panel * kPanelRows, w.rows, sums.even[t] + sums.odd[t]);
  }
}

template <Format kFormat>
void f32_panels(const PackedMatrix& w, int begin, int end, const float* x, size_t x_stride,
                int tokens, const MatmulOutput& out) {
  for (int panel = begin; panel < end; ++panel) {
    for_tiles<kTokenTile>(tokens, [&]<int T>(std::integral_constant<int, T>, int token) {
      f32_tile<kFormat, T>(w, panel, x, x_stride, token, out);
    });
  }
}

void matmul_f32(const PackedMatrix& w, int panel_begin, int panel_end, const float* x,
                size_t x_stride, int tokens, const MatmulOutput& out) {
  const auto run = [&]<Format kFormat>(std::integral_constant<Format, kFormat>) {
    f32_panels<kFormat>(w, panel_begin, panel_end, x, x_stride, tokens, out);
  };
  switch (w.format) {
    case Format::kF32:
      return run(std::integral_constant<Format, Format::kF32>{});
    case Format::kF16:
      return run(std::integral_constant<Format, Format::kF16>{});
    case Format::kBF16:
      return run(std::integral_constant<Format, Format::kBF16>{});
    default:
      return with_quantized_format(w.format, run);
  }
}
