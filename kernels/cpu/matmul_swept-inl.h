// Integer products of many tokens: some panels are expanded to a tile of bytes and float scales
// that stays in the first cache, and all tokens are swept over it. The same sums in the same order
// as in matmul_integer-inl.h, so with the same bits. Included by matmul-inl.h.

inline constexpr int kSweepSteps = 192;  ///< of 4 bytes of activations, in a tile
inline constexpr int kSlabTokens = 256;  ///< whose totals wait for the next tile

/// Groups of 32 columns in a tile.
constexpr int sweep_groups(Format format) {
  return kSweepSteps / (kGroup / step_columns(is_wide(format)));
}

/// kSweepPanels panels by kSweepSteps steps.
struct SweepTile {
  alignas(64) uint8_t quants[kSweepSteps][kSweepPanels][4 * kPanelRows];
  alignas(64) float scales[sweep_groups(Format::kQ8_0) * 2][kSweepPanels][kPanelRows];
  alignas(64) float minimums[sweep_groups(Format::kQ8_0)][kSweepPanels][kPanelRows];
  alignas(64) float totals[kSlabTokens][kSweepPanels][kPanelRows];
};

/// Groups [begin, end) of 32 columns of one panel become panel `p` of the tile.
template <Format kFormat>
void expand_panel(const uint8_t* panel, int begin, int end, int p, SweepTile& tile) {
  constexpr int kColumns = layout(kFormat).group;
  constexpr int kParts = block_groups(kFormat);
  const int first = begin * kGroup / kColumns, count = (end - begin) * kGroup / kColumns;
  for (int i = 0; i < count; ++i) {
    const uint8_t* block = panel + (first + i) / kParts * block_bytes(kFormat);
    const int part = (first + i) % kParts;
    for_steps<kFormat>(block + part * group_quants_bytes(kFormat), [&](Bytes w, int step) {
      w.store(tile.quants[i * group_math(kFormat).steps() + step][p]);
    });
    if constexpr (layout(kFormat).scales != Scales::kNone) {
      group_scales<kFormat>(block, part).store(tile.scales[i][p]);
    }
    if constexpr (layout(kFormat).minimums) {
      group_minimums<kFormat>(block, part).store(tile.minimums[i][p]);
    }
  }
}

/// One step of a sweep: what is in the tile, for which tokens.
template <typename Rows>
struct SweepStep {
  const PackedMatrix& w;
  int panel, panels;  ///< the first in the tile, and how many there are
  int group_begin;    ///< of 32 columns
  int group_end;
  const Rows& x;
  const MatmulOutput& out;
};

/// Adds a step of all panels times the activations at `x`.
template <GroupMath kMath, int P>
[[gnu::always_inline]] inline void add_to_panels(Sums (&sums)[P], const Bytes (&w)[P],
                                                 const int8_t* x) {
  if constexpr (kMath.wide) {
    const Pairs pair = Pairs::repeat(reinterpret_cast<const int16_t*>(x));
    for (int p = 0; p < P; ++p) add_pair_products(sums[p], to_pairs(w[p]), pair);
  } else {
    const Quads quad = Quads::broadcast(x);
    for (int p = 0; p < P; ++p) {
      kMath.zero == 128 ? add_products_q8(sums[p], w[p], quad) : add_products(sums[p], w[p], quad);
    }
  }
}

/// Asks for what T tokens of the panels will be written to.
template <int T>
[[gnu::always_inline]] inline void fetch_outputs(const MatmulOutput& out, int token, int row) {
  for (int t = 0; t < T; ++t) {
    for (int p = 0; p < kSweepPanels; ++p)
      __builtin_prefetch(out.data + (token + t) * out.stride + row + p * kPanelRows, 1);
  }
}

/// Adds the tile's groups to the totals of T tokens from `token` on, `row` of the slab.
template <Format kFormat, int T, typename Rows>
[[gnu::noinline]] void sweep(SweepTile& tile, const SweepStep<Rows>& step, int token, int row) {
  constexpr GroupMath kMath = group_math(kFormat);
  constexpr int P = kSweepPanels;
  constexpr int kParts = kMath.parts(), kSteps = kMath.steps();
  const bool last = step.group_end == step.x.groups();
  if (last) fetch_outputs<T>(step.out, token, step.panel * kPanelRows);
  const Activations<kMath, T> x(step.x, token, step.group_begin);
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
        const Sums start = x.start(t, g, part);
        for (int p = 0; p < P; ++p) sums[t][p] = start;
      }
#pragma GCC unroll 16
      for (int v = 0; v < kSteps; ++v) {
        Bytes w[P];
        for (int p = 0; p < P; ++p)
          w[p] = Bytes::load(tile.quants[(g * kParts + part) * kSteps + v][p]);
        for (int t = 0; t < T; ++t) add_to_panels<kMath>(sums[t], w, x.step(t, g, part, v));
      }
      Vec d[P], m[P];
      for (int p = 0; p < P; ++p) {
        if (kMath.scales) d[p] = Vec::load(tile.scales[g * kParts + part][p]);
        if (kMath.minimums) m[p] = Vec::load(tile.minimums[g][p]);
      }
      for (int t = 0; t < T; ++t) {
        const Vec scale = Vec::set(x.scales[t][g]);
        const Vec sum = kMath.minimums ? Vec::set(x.scaled_sums[t][g]) : Vec::zero();
        for (int p = 0; p < P; ++p) {
          const Vec value = to_float(sums[t][p]);
          const Vec product = part > 0       ? fma(value, d[p], scaled[t][p])
                              : kMath.scales ? value * d[p]
                                             : value;
          if (part + 1 < kParts) {
            scaled[t][p] = product;
            continue;
          }
          total[t][p] = fma(product, scale, total[t][p]);
          if (kMath.minimums) total[t][p] = fma(m[p], sum, total[t][p]);
        }
      }
    }
  }
  if (!last) {
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

/// Asks for what tokens [row, row + tokens) of `count` have as their share of the panels that come
/// next, which would be waited for otherwise.
inline void prefetch_share(const PackedMatrix& w, int panel, int row, int tokens, int count) {
  const size_t bytes = kSweepPanels * w.panel_bytes();
  const uint8_t* next = w.panel(panel);
  const size_t end = bytes * static_cast<size_t>(row + tokens) / static_cast<size_t>(count);
  for (size_t at = bytes * static_cast<size_t>(row) / static_cast<size_t>(count); at < end;
       at += 64)
    prefetch(next + at);
}

template <Format kFormat, typename Rows>
void integer_swept(const PackedMatrix& w, int begin, int end, const Rows& x, int tokens,
                   const MatmulOutput& out) {
  constexpr int kTile = layout(kFormat).group == kGroup ? kSweepTokens : kSweepTokensHalves;
  SweepTile tile;
  for (int panel = begin; panel < end; panel += kSweepPanels) {
    for (int first = 0; first < tokens; first += kSlabTokens) {
      const int count = std::min(kSlabTokens, tokens - first);
      SweepStep<Rows> step{w, panel, std::min(kSweepPanels, end - panel), 0, 0, x, out};
      while (step.group_end < x.groups()) {
        step.group_begin = step.group_end;
        step.group_end = std::min(step.group_begin + sweep_groups(kFormat), x.groups());
        for (int p = 0; p < kSweepPanels; ++p) {  // the last one again where there are no more
          expand_panel<kFormat>(w.panel(panel + std::min(p, step.panels - 1)), step.group_begin,
                                step.group_end, p, tile);
        }
        for_tiles<kTile>(count, [&]<int T>(std::integral_constant<int, T>, int row) {
          prefetch_share(w, panel + kSweepPanels, row, T, count);
          sweep<kFormat, T>(tile, step, first + row, row);
        });
      }
    }
  }
}
