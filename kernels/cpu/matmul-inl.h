// Products of packed weights and activations. Included by each instruction set's .cc inside its
// namespace, after its simd header.

/// Calls tile(std::integral_constant<int, T>, first token) for T tokens at a time, at most
/// kTokenTile.
template <typename Tile>
void for_token_tiles(int tokens, const Tile& tile) {
  int t = 0;
  for (; t + kTokenTile <= tokens; t += kTokenTile)
    tile(std::integral_constant<int, kTokenTile>{}, t);
  const auto rest = [&]<int T>(const auto& self, std::integral_constant<int, T> count) -> void {
    if (tokens - t == T) {
      tile(count, t);
    } else if constexpr (T > 1) {
      self(self, std::integral_constant<int, T - 1>{});
    }
  };
  if constexpr (kTokenTile > 1) rest(rest, std::integral_constant<int, kTokenTile - 1>{});
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

/// One group of 32 columns of 16 rows times T tokens, in integers.
template <Format kFormat, int T>
[[gnu::always_inline]] inline void group_products(const uint8_t* quants,
                                                  const int8_t* const (&x)[T], int column,
                                                  Sums (&sums)[T]) {
  if constexpr (kFormat == Format::kQ8_0) {
    for (int v = 0; v < 8; ++v) {
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

/// What the integer sum of a group starts at, so that the weights' zero point is taken back.
template <Format kFormat>
[[gnu::always_inline]] inline Sums group_start(int32_t negated_sum) {
  if constexpr (kFormat == Format::kQ8_0) return start_q8(negated_sum);
  if constexpr (kFormat == Format::kQ4_0) return Sums::set_shifted(negated_sum, 3);
  return Sums::zero();
}

/// One panel times T tokens: groups in order, each dot product exact in integers, then scaled and
/// added.
template <Format kFormat, int T>
void int8_tile(const PackedMatrix& w, int panel, const QuantizedRows& x, int token,
               const MatmulOutput& out) {
  constexpr size_t kScales = kFormat == Format::kQ8_0 ? 1024 : 512;
  const uint8_t* block = w.panel(panel);
  const int groups = x.groups();
  const int8_t* rows[T];
  for (int t = 0; t < T; ++t)
    rows[t] = x.values + static_cast<size_t>(token + t) * x.padded_columns;
  const size_t meta = static_cast<size_t>(token) * groups;

  Vec total[T];
  for (int t = 0; t < T; ++t) total[t] = Vec::zero();
  for (int g = 0; g < groups; ++g) {
    const int half = g % 2;
    Sums sums[T];
    for (int t = 0; t < T; ++t) {
      sums[t] = group_start<kFormat>(x.negated_sums[meta + static_cast<size_t>(t) * groups + g]);
    }
    group_products<kFormat, T>(block + half * (kScales / 2), rows, g * kGroup, sums);
    const Vec d = Vec::load_f16(block + kScales + half * 32);
    for (int t = 0; t < T; ++t) {
      const size_t index = meta + static_cast<size_t>(t) * groups + g;
      total[t] = fma(to_float(sums[t]), d * Vec::set(x.scales[index]), total[t]);
    }
    if constexpr (kFormat == Format::kQ4_1) {
      const Vec m = Vec::load_f16(block + kScales + 64 + half * 32);
      for (int t = 0; t < T; ++t) {
        const size_t index = meta + static_cast<size_t>(t) * groups + g;
        total[t] = fma(m, Vec::set(x.scaled_sums[index]), total[t]);
      }
    }
    if (half == 1) block += block_bytes(kFormat);
  }
  for (int t = 0; t < T; ++t) store_rows(out, token + t, panel * kPanelRows, w.rows, total[t]);
}

template <Format kFormat>
void int8_panels(const PackedMatrix& w, int begin, int end, const QuantizedRows& x, int tokens,
                 const MatmulOutput& out) {
  for (int panel = begin; panel < end; ++panel) {
    for_token_tiles(tokens, [&]<int T>(std::integral_constant<int, T>, int token) {
      int8_tile<kFormat, T>(w, panel, x, token, out);
    });
  }
}

void matmul_int8(const PackedMatrix& w, int panel_begin, int panel_end, const QuantizedRows& x,
                 int tokens, const MatmulOutput& out) {
  switch (w.format) {
    case Format::kQ8_0:
      return int8_panels<Format::kQ8_0>(w, panel_begin, panel_end, x, tokens, out);
    case Format::kQ4_0:
      return int8_panels<Format::kQ4_0>(w, panel_begin, panel_end, x, tokens, out);
    case Format::kQ4_1:
      return int8_panels<Format::kQ4_1>(w, panel_begin, panel_end, x, tokens, out);
    default:
      return;
  }
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
  constexpr size_t kScales = kFormat == Format::kQ8_0 ? 1024 : 512;
  for (int g = 0; g < 2; ++g) {
    const Vec d = Vec::load_f16(block + kScales + g * 32);
    const Vec m =
        kFormat == Format::kQ4_1 ? Vec::load_f16(block + kScales + 64 + g * 32) : Vec::zero();
    const float zero = kFormat == Format::kQ8_0 ? 128.0f : kFormat == Format::kQ4_0 ? 8.0f : 0.0f;
    const auto write = [&](Bytes quants, int column) {
      for (int i = 0; i < 4; ++i) {
        fma(byte_to_float(quants, i) - Vec::set(zero), d, m)
            .store(out + (g * kGroup + column + i) * kPanelRows);
      }
    };
    if constexpr (kFormat == Format::kQ8_0) {
      for (int v = 0; v < 8; ++v) write(Bytes::load(block + g * 512 + v * 64), v * 4);
    } else {
      for (int v = 0; v < 4; ++v) {
        const Bytes quants = Bytes::load(block + g * 256 + v * 64);
        write(low_nibbles(quants), v * 4);
        write(high_nibbles(quants), 16 + v * 4);
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
    for_token_tiles(tokens, [&]<int T>(std::integral_constant<int, T>, int token) {
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
    case Format::kQ8_0:
      return run(std::integral_constant<Format, Format::kQ8_0>{});
    case Format::kQ4_0:
      return run(std::integral_constant<Format, Format::kQ4_0>{});
    case Format::kQ4_1:
      return run(std::integral_constant<Format, Format::kQ4_1>{});
  }
}
