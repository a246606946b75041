// Products of packed weights and activations. Included by each instruction set's .cc inside its
// namespace, after its simd header.

/// Calls run with the quantized format as an integral constant; not at all for any other format.
template <typename Run>
void with_quantized_format(Format format, const Run& run) {
  const auto try_format = [&]<Format kFormat>(std::integral_constant<Format, kFormat> constant) {
    if (format == kFormat) run(constant);
  };
  try_format(std::integral_constant<Format, Format::kQ8_0>{});
  try_format(std::integral_constant<Format, Format::kInt8>{});
  try_format(std::integral_constant<Format, Format::kQ4_0>{});
  try_format(std::integral_constant<Format, Format::kQ4_1>{});
  try_format(std::integral_constant<Format, Format::kIQ4_NL>{});
  try_format(std::integral_constant<Format, Format::kMXFP4>{});
  try_format(std::integral_constant<Format, Format::kNVFP4>{});
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

/// The levels of 16 rows' nibbles.
template <Format kFormat>
[[gnu::always_inline]] inline Bytes levels(Bytes nibbles) {
  if constexpr (layout(kFormat).levels == Levels::kDoubledE2m1)
    return look_up(kDoubledE2m1, nibbles);
  if constexpr (layout(kFormat).levels == Levels::kIq4Nl) return look_up(kIq4Nl, nibbles);
  return nibbles;
}

/// Calls use(levels, column) for every 4 columns of a group; the first of them is `column` of the
/// group.
template <Format kFormat, typename Use>
[[gnu::always_inline]] inline void for_quads(const uint8_t* quants, const Use& use) {
  constexpr int kColumns = layout(kFormat).group;
  if constexpr (layout(kFormat).quants == Quants::kBytes) {
    for (int v = 0; v < kColumns / 4; ++v) use(Bytes::load(quants + v * 64), v * 4);
  } else {
    for (int v = 0; v < kColumns / 8; ++v) {
      const Bytes pairs = Bytes::load(quants + v * 64);
      use(levels<kFormat>(low_nibbles(pairs)), v * 4);
      use(levels<kFormat>(high_nibbles(pairs)), kColumns / 2 + v * 4);
    }
  }
}

/// One group of columns of 16 rows times T tokens, in integers.
template <Format kFormat, int T>
[[gnu::always_inline]] inline void group_products(const uint8_t* quants,
                                                  const int8_t* const (&x)[T], int column,
                                                  Sums (&sums)[T]) {
  for_quads<kFormat>(
      quants, [&](Bytes w, int quad) __attribute__((always_inline)) {
        for (int t = 0; t < T; ++t) {
          if constexpr (layout(kFormat).zero == 128) {
            add_products_q8(sums[t], w, x[t] + column + quad);
          } else {
            add_products(sums[t], w, x[t] + column + quad);
          }
        }
      });
}

/// What the integer sum of a group of token `token` starts at, so that the weights' zero is taken
/// back.
template <Format kFormat>
[[gnu::always_inline]] inline Sums group_start(const QuantizedRows& x, int token, int group) {
  constexpr auto kZero = static_cast<unsigned>(layout(kFormat).zero);
  if constexpr (kZero == 0) return Sums::zero();
  constexpr int kShare = kGroup / layout(kFormat).group;
  const int32_t* sums = kShare == 1 ? x.negated_sums : x.negated_half_sums;
  const int32_t negated_sum = sums[static_cast<size_t>(token) * x.groups() * kShare + group];
  if constexpr (kZero == 128) return start_q8(negated_sum);
  static_assert(std::has_single_bit(kZero) || kZero == 0);
  return Sums::set_shifted(negated_sum, std::countr_zero(kZero));
}

/// Scales or minimums of 16 rows, as unit() says.
template <Format kFormat>
[[gnu::always_inline]] inline Vec load_scales(const uint8_t* p) {
  if constexpr (layout(kFormat).scales == Scales::kNone) return Vec::set(1);
  if constexpr (layout(kFormat).scales == Scales::kF16) return Vec::load_f16(p);
  if constexpr (layout(kFormat).scales == Scales::kF32)
    return Vec::load(reinterpret_cast<const float*>(p));
  if constexpr (layout(kFormat).scales == Scales::kE4M3) return Vec::load_e4m3_magnitudes(p);
  return Vec::load_halved_powers(p);
}

/// What a panel's sums are multiplied by at the end.
template <Format kFormat>
[[gnu::always_inline]] inline Vec last_factor(const PackedMatrix& w, int panel) {
  if constexpr (!has_row_scales(kFormat)) return Vec::set(unit(kFormat) * w.factor);
  const auto* scales = reinterpret_cast<const float*>(w.panel(panel) + w.row_scales_at());
  return Vec::set(unit(kFormat)) * Vec::load(scales);
}

/// One panel times T tokens: groups in order, each dot product exact in integers, then scaled and
/// added.
template <Format kFormat, int T>
void int8_tile(const PackedMatrix& w, int panel, const QuantizedRows& x, int token,
               const MatmulOutput& out) {
  constexpr int kParts = block_groups(kFormat);
  constexpr int kColumns = layout(kFormat).group;
  constexpr size_t kScales = kPanelRows * scale_bytes(kFormat);
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
    group_products<kFormat, T>(block + part * group_quants_bytes(kFormat), rows, g * kColumns,
                               sums);
    const size_t meta = static_cast<size_t>(token) * x.groups() + g * kColumns / kGroup;
    const Vec d = load_scales<kFormat>(block + scales_at(kFormat) + part * kScales);
    for (int t = 0; t < T; ++t) {
      Vec scale = Vec::set(x.scales[meta + static_cast<size_t>(t) * x.groups()]);
      if constexpr (layout(kFormat).scales != Scales::kNone) scale = d * scale;
      total[t] = fma(to_float(sums[t]), scale, total[t]);
    }
    if constexpr (layout(kFormat).minimums) {
      const Vec m = load_scales<kFormat>(block + minimums_at(kFormat) + part * kScales);
      for (int t = 0; t < T; ++t) {
        const size_t index = meta + static_cast<size_t>(t) * x.groups();
        total[t] = fma(m, Vec::set(x.scaled_sums[index]), total[t]);
      }
    }
    if (part == kParts - 1) block += block_bytes(kFormat);
  }
  const Vec factor = last_factor<kFormat>(w, panel);
  for (int t = 0; t < T; ++t)
    store_rows(out, token + t, panel * kPanelRows, w.rows, total[t] * factor);
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
  if constexpr (kFormat == Format::kBF16) return Vec::load_bf16(p);
  return Vec::load_e4m3(p);
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

/// Dequantizes a group to floats, [columns][16]; columns past the matrix's are 0.
template <Format kFormat>
void widen_group(const uint8_t* block, int group, float* out) {
  constexpr size_t kScales = kPanelRows * scale_bytes(kFormat);
  const Vec zero = Vec::set(static_cast<float>(layout(kFormat).zero));
  const Vec d = load_scales<kFormat>(block + scales_at(kFormat) + group * kScales);
  Vec m = Vec::zero();
  if constexpr (layout(kFormat).minimums)
    m = load_scales<kFormat>(block + minimums_at(kFormat) + group * kScales);
  for_quads<kFormat>(block + group * group_quants_bytes(kFormat), [&](Bytes w, int column) {
    for (int i = 0; i < 4; ++i)
      fma(byte_to_float(w, i) - zero, d, m).store(out + (column + i) * kPanelRows);
  });
}

template <Format kFormat, int T>
void f32_tile(const PackedMatrix& w, int panel, const float* x, size_t x_stride, int token,
              const MatmulOutput& out) {
  const float* rows[T];
  for (int t = 0; t < T; ++t) rows[t] = x + (token + t) * x_stride;
  const uint8_t* block = w.panel(panel);
  FloatSums<T> sums;
  if constexpr (is_quantized(kFormat)) {
    constexpr int kColumns = layout(kFormat).group;
    alignas(64) float widened[kColumns * kPanelRows];
    for (int begin = 0; begin < w.columns; begin += kColumns) {
      const int group = begin / kColumns % block_groups(kFormat);
      widen_group<kFormat>(block, group, widened);
      const int count = std::min(kColumns, w.columns - begin);
      for (int k = 0; k < count; ++k)
        sums.add(Vec::load(widened + k * kPanelRows), rows, begin + k);
      if (group == block_groups(kFormat) - 1) block += block_bytes(kFormat);
    }
  } else {
    int k = 0;
    for (; k + 2 <= w.columns; k += 2, block += 2 * block_bytes(kFormat)) {
      sums.add(load_column<kFormat>(block), rows, k);
      sums.add(load_column<kFormat>(block + block_bytes(kFormat)), rows, k + 1);
    }
    if (k < w.columns) sums.add(load_column<kFormat>(block), rows, k);
  }
  const Vec factor = last_factor<kFormat>(w, panel);
  for (int t = 0; t < T; ++t) {
    store_rows(out, token + t, panel * kPanelRows, w.rows, (sums.even[t] + sums.odd[t]) * factor);
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
    case Format::kF8:
      return run(std::integral_constant<Format, Format::kF8>{});
    default:
      return with_quantized_format(w.format, run);
  }
}
