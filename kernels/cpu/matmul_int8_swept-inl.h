// Integer products of many tokens: some panels are expanded to a tile of bytes and float scales
// that stays in the first cache, and all tokens are swept over it. The same sums in the same order
// as in matmul_int8-inl.h, so with the same bits. Included by matmul-inl.h.

inline constexpr int kSweepGroups = 24;  ///< of 32 columns, in a tile
inline constexpr int kSlabTokens = 256;  ///< whose totals wait for the next tile

/// kSweepPanels panels by kSweepGroups groups.
struct SweepTile {
  alignas(64) uint8_t quants[kSweepGroups * kGroup / 4][kSweepPanels][4 * kPanelRows];
  alignas(64) float scales[kSweepGroups * 2][kSweepPanels][kPanelRows];
  alignas(64) float minimums[kSweepGroups][kSweepPanels][kPanelRows];
  alignas(64) float totals[kSlabTokens][kSweepPanels][kPanelRows];
};

/// Groups [begin, end) of 32 columns of one panel become panel `p` of the tile.
template <Format kFormat>
void expand_panel(const uint8_t* panel, int begin, int end, int p, SweepTile& tile) {
  constexpr int kColumns = layout(kFormat).group;
  constexpr int kParts = block_groups(kFormat);
  constexpr size_t kScales = kPanelRows * scale_bytes(kFormat);
  const int first = begin * kGroup / kColumns, count = (end - begin) * kGroup / kColumns;
  for (int i = 0; i < count; ++i) {
    const uint8_t* block = panel + (first + i) / kParts * block_bytes(kFormat);
    const int part = (first + i) % kParts;
    for_quads<kFormat>(block + part * group_quants_bytes(kFormat), [&](Bytes w, int column) {
      w.store(tile.quants[(i * kColumns + column) / 4][p]);
    });
    if constexpr (layout(kFormat).scales != Scales::kNone) {
      load_scales<kFormat>(block + scales_at(kFormat) + part * kScales).store(tile.scales[i][p]);
    }
    if constexpr (layout(kFormat).minimums) {
      load_scales<kFormat>(block + minimums_at(kFormat) + part * kScales)
          .store(tile.minimums[i][p]);
    }
  }
}

/// One step of a sweep: what is in the tile, for which tokens.
struct SweepStep {
  const PackedMatrix& w;
  int panel, panels;  ///< the first in the tile, and how many there are
  int group_begin;    ///< of 32 columns
  int group_end;
  const QuantizedRows& x;
  const MatmulOutput& out;
};

/// Adds the tile's groups to the totals of T tokens from `token` on, `row` of the slab.
template <Format kFormat, int T>
[[gnu::noinline]] void sweep(SweepTile& tile, const SweepStep& step, int token, int row) {
  constexpr GroupMath kMath = group_math(kFormat);
  constexpr int P = kSweepPanels;
  constexpr int kParts = kGroup / kMath.group;
  const Activations<T> x(step.x, token, step.group_begin);
  Vec total[T][P];
  for (int t = 0; t < T; ++t) {
    for (int p = 0; p < P; ++p)
      total[t][p] = step.group_begin == 0 ? Vec::zero() : Vec::load(tile.totals[row + t][p]);
  }
  for (int g = 0; g < step.group_end - step.group_begin; ++g) {
    Vec scaled[T][P];
#pragma GCC unroll 2
    for (int part = 0; part < kParts; ++part) {
      Sums sums[T][P];
      for (int t = 0; t < T; ++t) {
        const Sums start = x.template start<kMath>(t, g, part);
        for (int p = 0; p < P; ++p) sums[t][p] = start;
      }
      const int column = g * kGroup + part * kMath.group;
#pragma GCC unroll 8
      for (int v = 0; v < kMath.group / 4; ++v) {
        Bytes w[P];
        for (int p = 0; p < P; ++p) w[p] = Bytes::load(tile.quants[column / 4 + v][p]);
        for (int t = 0; t < T; ++t) {
          const Quads a = Quads::broadcast(x.values[t] + column + v * 4);
          for (int p = 0; p < P; ++p) add_quad<kMath>(sums[t][p], w[p], a);
        }
      }
      for (int p = 0; p < P; ++p) {
        const Vec d = kMath.scales ? Vec::load(tile.scales[g * kParts + part][p]) : Vec::zero();
        for (int t = 0; t < T; ++t) {
          scaled[t][p] = part > 0       ? fma(to_float(sums[t][p]), d, scaled[t][p])
                         : kMath.scales ? to_float(sums[t][p]) * d
                                        : to_float(sums[t][p]);
        }
      }
    }
    for (int t = 0; t < T; ++t) {
      const Vec scale = Vec::set(x.scales[t][g]);
      for (int p = 0; p < P; ++p) total[t][p] = fma(scaled[t][p], scale, total[t][p]);
    }
    if constexpr (kMath.minimums) {
      for (int t = 0; t < T; ++t) {
        const Vec sum = Vec::set(x.scaled_sums[t][g]);
        for (int p = 0; p < P; ++p)
          total[t][p] = fma(Vec::load(tile.minimums[g][p]), sum, total[t][p]);
      }
    }
  }
  if (step.group_end < step.x.groups()) {
    for (int t = 0; t < T; ++t) {
      for (int p = 0; p < P; ++p) total[t][p].store(tile.totals[row + t][p]);
    }
    return;
  }
  for (int p = 0; p < step.panels; ++p) {
    const Vec factor = last_factor<kFormat>(step.w, step.panel + p);
    for (int t = 0; t < T; ++t) {
      store_rows(step.out, token + t, (step.panel + p) * kPanelRows, step.w.rows,
                 total[t][p] * factor);
    }
  }
}

template <Format kFormat>
void int8_swept(const PackedMatrix& w, int begin, int end, const QuantizedRows& x, int tokens,
                const MatmulOutput& out) {
  constexpr int kTile = layout(kFormat).group == kGroup ? kSweepTokens : kSweepTokensHalves;
  SweepTile tile;
  std::memset(tile.quants, 0, sizeof(tile.quants));  // a panel that is not there
  std::memset(tile.scales, 0, sizeof(tile.scales));
  std::memset(tile.minimums, 0, sizeof(tile.minimums));
  for (int panel = begin; panel < end; panel += kSweepPanels) {
    for (int first = 0; first < tokens; first += kSlabTokens) {
      const int count = std::min(kSlabTokens, tokens - first);
      SweepStep step{w, panel, std::min(kSweepPanels, end - panel), 0, 0, x, out};
      while (step.group_end < x.groups()) {
        step.group_begin = step.group_end;
        step.group_end = std::min(step.group_begin + kSweepGroups, x.groups());
        for (int p = 0; p < step.panels; ++p)
          expand_panel<kFormat>(w.panel(panel + p), step.group_begin, step.group_end, p, tile);
        for_tiles<kTile>(count, [&]<int T>(std::integral_constant<int, T>, int row) {
          sweep<kFormat, T>(tile, step, first + row, row);
        });
      }
    }
  }
}
