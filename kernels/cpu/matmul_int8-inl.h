// Integer products of few tokens: each panel is read once, straight from its packed layout.
// Included by matmul-inl.h.

/// How an integer sum of a group becomes part of a token's total. Formats that agree in it share
/// code.
struct GroupMath {
  int zero;
  int group;
  bool scales;
  bool minimums;
};
constexpr GroupMath group_math(Format format) {
  const Layout l = layout(format);
  return {l.zero, l.group, l.scales != Scales::kNone, l.minimums};
}

/// What the integer sum of a group of token `token` starts at, so that the weights' zero is taken
/// back.
template <GroupMath kMath>
[[gnu::always_inline]] inline Sums group_start(const int32_t* negated_sum) {
  if constexpr (kMath.zero == 0) return Sums::zero();
  if constexpr (kMath.zero == 128) return start_q8(*negated_sum);
  static_assert(kMath.zero == 0 || std::has_single_bit(static_cast<unsigned>(kMath.zero)));
  return Sums::set_shifted(*negated_sum, std::countr_zero(static_cast<unsigned>(kMath.zero)));
}

/// Adds four columns of 16 rows times four activations.
template <GroupMath kMath, typename Activation>
[[gnu::always_inline]] inline void add_quad(Sums& sums, Bytes w, Activation x) {
  if constexpr (kMath.zero == 128) {
    add_products_q8(sums, w, x);
  } else {
    add_products(sums, w, x);
  }
}

/// Activations of T tokens from group `group` of 32 on.
template <int T>
struct Activations {
  const int8_t* values[T];
  const float* scales[T];
  const float* scaled_sums[T];
  const int32_t* negated_sums[T];
  const int32_t* negated_half_sums[T];

  Activations(const QuantizedRows& x, int token, int group) {
    for (int t = 0; t < T; ++t) {
      const size_t at = static_cast<size_t>(token + t) * x.groups() + group;
      values[t] = x.values + at * kGroup;
      scales[t] = x.scales + at;
      scaled_sums[t] = x.scaled_sums + at;
      negated_sums[t] = x.negated_sums + at;
      negated_half_sums[t] = x.negated_half_sums + 2 * at;
    }
  }

  /// The start of scale group `part` of group `g`.
  template <GroupMath kMath>
  [[gnu::always_inline]] Sums start(int t, int g, int part) const {
    return group_start<kMath>(kMath.group == kGroup ? negated_sums[t] + g
                                                    : negated_half_sums[t] + 2 * g + part);
  }
};

/// Adds one group of 32 columns of 16 rows times T tokens to their totals. The scale groups in it
/// are exact sums of integers; they are scaled, added, and times the activations' scale go into the
/// total, and the minimums after them.
template <Format kFormat, int T>
[[gnu::always_inline]] inline void add_group(const uint8_t* block, int index,
                                             const Activations<T>& x, int g, Vec (&total)[T]) {
  constexpr GroupMath kMath = group_math(kFormat);
  constexpr int kParts = kGroup / kMath.group;
  constexpr size_t kScales = kPanelRows * scale_bytes(kFormat);
  Vec scaled[T];
  for (int part = 0; part < kParts; ++part) {
    const int group = index * kParts + part;
    Sums sums[T];
    for (int t = 0; t < T; ++t) sums[t] = x.template start<kMath>(t, g, part);
    for_quads<kFormat>(
        block + group * group_quants_bytes(kFormat), [&](Bytes w, int column) __attribute__((
                                                         always_inline)) {
          for (int t = 0; t < T; ++t)
            add_quad<kMath>(sums[t], w,
                            Four{x.values[t] + g * kGroup + part * kMath.group + column});
        });
    const Vec d = load_scales<kFormat>(block + scales_at(kFormat) + group * kScales);
    for (int t = 0; t < T; ++t) {
      scaled[t] = part > 0       ? fma(to_float(sums[t]), d, scaled[t])
                  : kMath.scales ? to_float(sums[t]) * d
                                 : to_float(sums[t]);
    }
  }
  for (int t = 0; t < T; ++t) total[t] = fma(scaled[t], Vec::set(x.scales[t][g]), total[t]);
  if constexpr (kMath.minimums) {
    const Vec m = load_scales<kFormat>(block + minimums_at(kFormat) + index * kScales);
    for (int t = 0; t < T; ++t) total[t] = fma(m, Vec::set(x.scaled_sums[t][g]), total[t]);
  }
}

/// One panel times T tokens: groups in order.
template <Format kFormat, int T>
void int8_tile(const PackedMatrix& w, int panel, const QuantizedRows& x, int token,
               const MatmulOutput& out) {
  const Activations<T> rows(x, token, 0);
  const uint8_t* block = w.panel(panel);
  Vec total[T];
  for (int t = 0; t < T; ++t) total[t] = Vec::zero();
  for (int g = 0; g < x.groups(); g += 2, block += block_bytes(kFormat)) {
    add_group<kFormat, T>(block, 0, rows, g, total);
    add_group<kFormat, T>(block, 1, rows, g + 1, total);
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
