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
  try_format(std::integral_constant<Format, Format::kInt8G32>{});
  try_format(std::integral_constant<Format, Format::kInt8G32Min>{});
  try_format(std::integral_constant<Format, Format::kInt8G16>{});
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

/// Calls use(levels, step) for every step of a group.
template <Format kFormat, typename Use>
[[gnu::always_inline]] inline void for_steps(const uint8_t* quants, const Use& use) {
  constexpr int kSteps = layout(kFormat).group / step_columns(is_wide(kFormat));
  if constexpr (layout(kFormat).quants != Quants::kNibbles) {
    for (int v = 0; v < kSteps; ++v) use(Bytes::load(quants + v * 64), v);
  } else {
    for (int v = 0; v < kSteps / 2; ++v) {
      const Bytes pairs = Bytes::load(quants + v * 64);
      use(levels<kFormat>(low_nibbles(pairs)), v);
      use(levels<kFormat>(high_nibbles(pairs)), kSteps / 2 + v);
    }
  }
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
