// Integer products of few tokens: each panel is read once, straight from its packed layout.
// Included by matmul-inl.h.

/// How an integer sum of a group becomes part of a token's total. Formats that agree in it share
/// code.
struct GroupMath {
  int zero;
  int group;
  bool scales;
  bool minimums;
  bool wide;

  constexpr int parts() const { return kGroup / group; }
  /// Of 4 bytes of activations, in a group.
  constexpr int steps() const { return group / step_columns(wide); }
};
constexpr GroupMath group_math(Format format) {
  const Layout l = layout(format);
  return {l.zero, l.group, l.scales != Scales::kNone, l.minimums, is_wide(format)};
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

/// Adds a step of 16 rows times the activations at `x`.
template <GroupMath kMath>
[[gnu::always_inline]] inline void add_step(Sums& sums, Bytes w, const int8_t* x) {
  if constexpr (kMath.wide) {
    add_pair_products(sums, to_pairs(w), Pairs::repeat(reinterpret_cast<const int16_t*>(x)));
  } else if constexpr (kMath.zero == 128) {
    add_products_q8(sums, w, Four{x});
  } else {
    add_products(sums, w, Four{x});
  }
}

/// Activations of T tokens from group `group` of 32 on.
template <GroupMath kMath, int T>
struct Activations {
  const int8_t* values[T];  ///< in steps of 4 bytes
  const float* scales[T];
  const float* scaled_sums[T];
  const int32_t* negated_sums[T];  ///< of the weights' groups

  Activations(const QuantizedRows& x, int token, int group) {
    for (int t = 0; t < T; ++t) {
      const size_t at = static_cast<size_t>(token + t) * x.groups() + group;
      values[t] = x.values + at * kGroup;
      scales[t] = x.scales + at;
      scaled_sums[t] = x.scaled_sums + at;
      negated_sums[t] = kMath.parts() == 1 ? x.negated_sums + at : x.negated_half_sums + 2 * at;
    }
  }
  Activations(const WideRows& x, int token, int group) {
    for (int t = 0; t < T; ++t) {
      const size_t at = static_cast<size_t>(token + t) * x.groups() + group;
      values[t] = reinterpret_cast<const int8_t*>(x.values + at * kGroup);
      scales[t] = x.scales + at;
    }
  }

  /// The start of scale group `part` of group `g`.
  [[gnu::always_inline]] Sums start(int t, int g, int part) const {
    if constexpr (kMath.zero == 0) return Sums::zero();
    return group_start<kMath>(negated_sums[t] + g * kMath.parts() + part);
  }
  /// Step `step` of that.
  [[gnu::always_inline]] const int8_t* step(int t, int g, int part, int step) const {
    return values[t] + ((g * kMath.parts() + part) * kMath.steps() + step) * 4;
  }
};

/// Adds one group of 32 columns of 16 rows times T tokens to their totals. The scale groups in it
/// are exact sums of integers; they are scaled, added, and times the activations' scale go into the
/// total, and the minimums after them.
template <Format kFormat, GroupMath kMath, int T>
[[gnu::always_inline]] inline void add_group(const uint8_t* block, int index,
                                             const Activations<kMath, T>& x, int g,
                                             Vec (&total)[T]) {
  constexpr int kParts = kMath.parts();
  Vec scaled[T];
  for (int part = 0; part < kParts; ++part) {
    const int group = index * kParts + part;
    Sums sums[T];
    for (int t = 0; t < T; ++t) sums[t] = x.start(t, g, part);
    for_steps<kFormat>(
        block + group * group_quants_bytes(kFormat), [&](Bytes w,
                                                         int step) __attribute__((always_inline)) {
          for (int t = 0; t < T; ++t) add_step<kMath>(sums[t], w, x.step(t, g, part, step));
        });
    const Vec d = group_scales<kFormat>(block, group);
    for (int t = 0; t < T; ++t) {
      scaled[t] = part > 0       ? fma(to_float(sums[t]), d, scaled[t])
                  : kMath.scales ? to_float(sums[t]) * d
                                 : to_float(sums[t]);
    }
  }
  for (int t = 0; t < T; ++t) total[t] = fma(scaled[t], Vec::set(x.scales[t][g]), total[t]);
  if constexpr (kMath.minimums) {
    const Vec m = group_minimums<kFormat>(block, index);
    for (int t = 0; t < T; ++t) total[t] = fma(m, Vec::set(x.scaled_sums[t][g]), total[t]);
  }
}

/// One panel times T tokens: groups in order.
template <Format kFormat, int T, typename Rows>
void integer_tile(const PackedMatrix& w, int panel, const Rows& x, int token,
                  const MatmulOutput& out) {
  constexpr GroupMath kMath = group_math(kFormat);
  const Activations<kMath, T> rows(x, token, 0);
  const uint8_t* block = w.panel(panel);
  Vec total[T];
  for (int t = 0; t < T; ++t) total[t] = Vec::zero();
  constexpr int kGroups = block_columns(kFormat) / kGroup;
  for (int g = 0; g < x.groups(); g += kGroups, block += block_bytes(kFormat)) {
#pragma GCC unroll 2
    for (int i = 0; i < kGroups; ++i) add_group<kFormat, kMath, T>(block, i, rows, g + i, total);
  }
  const Vec factor = last_factor<kFormat>(w, panel);
  for (int t = 0; t < T; ++t)
    store_rows(out, token + t, panel * kPanelRows, w.rows, total[t] * factor);
}

template <Format kFormat, typename Rows>
void integer_panels(const PackedMatrix& w, int begin, int end, const Rows& x, int tokens,
                    const MatmulOutput& out) {
  for (int panel = begin; panel < end; ++panel) {
    for_tiles<kTokenTile>(tokens, [&]<int T>(std::integral_constant<int, T>, int token) {
      integer_tile<kFormat, T>(w, panel, x, token, out);
    });
  }
}
