// Reading packed weights, format by format. Included by each instruction set's .cc inside its
// namespace, after its simd header.

/// Calls run with the format as an integral constant if its products are with int8; not at all
/// otherwise.
template <typename Run>
void with_int8_format(Format format, const Run& run) {
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
  try_format(std::integral_constant<Format, Format::kQ5_0>{});
  try_format(std::integral_constant<Format, Format::kQ5_1>{});
  try_format(std::integral_constant<Format, Format::kQ4_K>{});
  try_format(std::integral_constant<Format, Format::kQ5_K>{});
  try_format(std::integral_constant<Format, Format::kQ6_K>{});
}

/// The levels of 16 rows' nibbles.
template <Format kFormat>
[[gnu::always_inline]] inline Bytes levels(Bytes nibbles) {
  if constexpr (layout(kFormat).levels == Levels::kDoubledE2m1)
    return look_up(kDoubledE2m1, nibbles);
  if constexpr (layout(kFormat).levels == Levels::kIq4Nl) return look_up(kIq4Nl, nibbles);
  return nibbles;
}

/// Columns of a step: what a 32-bit lane holds of activations.
constexpr int step_columns(bool wide) { return wide ? 2 : 4; }

/// Nibbles with the bits above them, those of step `kStep` of the group, out of the vector `high`.
template <Format kFormat, int kStep>
[[gnu::always_inline]] inline Bytes with_high_bits(Bytes nibbles, Bytes high) {
  constexpr int kBits = high_bits(layout(kFormat).quants);
  if constexpr (kBits == 0) return levels<kFormat>(nibbles);
  return or_shifted<4 - kBits * kStep>(nibbles, high, ((1 << kBits) - 1) << 4);
}

/// Calls use(levels, step) for every step of a group.
template <Format kFormat, typename Use>
[[gnu::always_inline]] inline void for_steps(const uint8_t* quants, const Use& use) {
  constexpr int kSteps = layout(kFormat).group / step_columns(is_wide(kFormat));
  if constexpr (!has_nibbles(layout(kFormat).quants)) {
    for (int v = 0; v < kSteps; ++v) use(Bytes::stream(quants + v * 64), v);
  } else {
    constexpr int kPairs = kSteps / 2;
    Bytes high{};
    if constexpr (high_bits(layout(kFormat).quants) > 0) high = Bytes::stream(quants + kPairs * 64);
    const auto use_pairs = [&]<int V>(std::integral_constant<int, V>)
        __attribute__((always_inline)) {
      const Bytes pairs = Bytes::stream(quants + V * 64);
      use(with_high_bits<kFormat, V>(low_nibbles(pairs), high), V);
      use(with_high_bits<kFormat, kPairs + V>(high_nibbles(pairs), high), kPairs + V);
    };
    [&]<int... V>(std::integer_sequence<int, V...>) __attribute__((always_inline)) {
      (use_pairs(std::integral_constant<int, V>{}), ...);
    }
    (std::make_integer_sequence<int, kPairs>{});
  }
}

/// Scales or minimums of 16 rows, as unit() says, at `p` of a block whose factors of them are at
/// `factors`.
template <Format kFormat>
[[gnu::always_inline]] inline Vec load_scales(const uint8_t* p, const uint8_t* factors) {
  constexpr Scales kScales = layout(kFormat).scales;
  if constexpr (kScales == Scales::kNone) return Vec::set(1);
  if constexpr (kScales == Scales::kF16) return Vec::load_f16(p);
  if constexpr (kScales == Scales::kE4M3) return Vec::load_e4m3_magnitudes(p);
  if constexpr (kScales == Scales::kInt8)
    return Vec::load_i8(reinterpret_cast<const int8_t*>(p)) * Vec::load_f16(factors);
  return Vec::load_halved_powers(p);
}

/// Of a group of a block.
template <Format kFormat>
[[gnu::always_inline]] inline Vec group_scales(const uint8_t* block, int group) {
  constexpr size_t kBytes = kPanelRows * scale_bytes(kFormat);
  return load_scales<kFormat>(block + scales_at(kFormat) + group * kBytes,
                              block + factors_at(kFormat));
}
template <Format kFormat>
[[gnu::always_inline]] inline Vec group_minimums(const uint8_t* block, int group) {
  constexpr size_t kBytes = kPanelRows * scale_bytes(kFormat);
  return load_scales<kFormat>(block + minimums_at(kFormat) + group * kBytes,
                              block + factors_at(kFormat) + kFactorBytes);
}

/// What a panel's sums are multiplied by at the end.
template <Format kFormat>
[[gnu::always_inline]] inline Vec last_factor(const PackedMatrix& w, int panel) {
  if constexpr (!has_row_scales(kFormat)) return Vec::set(unit(kFormat) * w.factor);
  const auto* scales = reinterpret_cast<const float*>(w.panel(panel) + w.row_scales_at());
  return Vec::set(unit(kFormat)) * Vec::load(scales);
}
