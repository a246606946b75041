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

/// Word i of every row, as a float.
inline Vec word_to_float(Bytes b, int i) {
  const Vec high = byte_to_float(b, 2 * i + 1), one = Vec::set(1);
  const Vec negative = min(max(high - Vec::set(127), Vec::zero()), one);
  return fma(high - negative * Vec::set(256), Vec::set(256), byte_to_float(b, 2 * i));
}

/// Dequantizes a group to floats, [columns][16]; columns past the matrix's are 0.
template <Format kFormat>
void widen_group(const uint8_t* block, int group, float* out) {
  const Vec zero = Vec::set(static_cast<float>(layout(kFormat).zero));
  const Vec d = group_scales<kFormat>(block, group);
  Vec m = Vec::zero();
  if constexpr (layout(kFormat).minimums) m = group_minimums<kFormat>(block, group);
  for_steps<kFormat>(block + group * group_quants_bytes(kFormat), [&](Bytes w, int step) {
    constexpr int kColumns = step_columns(is_wide(kFormat));
    for (int i = 0; i < kColumns; ++i) {
      const Vec quant = is_wide(kFormat) ? word_to_float(w, i) : byte_to_float(w, i) - zero;
      fma(quant, d, m).store(out + (step * kColumns + i) * kPanelRows);
    }
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
    case Format::kInt16:
      return run(std::integral_constant<Format, Format::kInt16>{});
    default:
      return with_int8_format(w.format, run);
  }
}
