// Attention over KV pages: tiles of query rows against blocks of 64 keys, online softmax. Included
// by each instruction set's .cc inside its namespace, after kv-inl.h and elementwise-inl.h.
//
// Unless keys and values are F32, products are of int16: queries and keys are scaled to the same
// length, probabilities times their values' scales to the same sum, so that no sum leaves int32 and
// rounding costs about 2^-14 of the result. Integer sums are exact in any order, and everything in
// floats happens to one row alone, in blocks and parts that lie at fixed positions: a row's result
// does not depend on the rows beside it.

/// 2^x within 1e-7 of itself, for x <= 0; 2^-126 below that.
inline Vec exp2(Vec x) {
  const Vec bounded = max(x, Vec::set(-126.0f));
  const Vec n = round(bounded), r = bounded - n;
  Vec p = Vec::set(1.326472615e-3f);
  p = fma(p, r, Vec::set(9.671512991e-3f));
  p = fma(p, r, Vec::set(5.550733581e-2f));
  p = fma(p, r, Vec::set(2.402224243e-1f));
  p = fma(p, r, Vec::set(6.931470037e-1f));
  p = fma(p, r, Vec::set(1.0f));
  return scale_by_power(p, n);
}

struct FloatProducts {
  using Element = float;
  using Operand = Vec;
  using Sum = Vec;
  static constexpr int kPair = 1;
  static Operand load(const float* p) { return Vec::load(p); }
  static Operand repeat(const float* p) { return Vec::set(*p); }
  static void add(Sum& sum, Operand a, Operand b) { sum = fma(a, b, sum); }
  static Vec value(Sum sum) { return sum; }
};

struct IntegerProducts {
  using Element = int16_t;
  using Operand = Pairs;
  using Sum = Sums;
  static constexpr int kPair = 2;
  static Operand load(const int16_t* p) { return Pairs::load(p); }
  static Operand repeat(const int16_t* p) { return Pairs::repeat(p); }
  static void add(Sum& sum, Operand a, Operand b) { add_pair_products(sum, a, b); }
  static Vec value(Sum sum) { return to_float(sum); }
};

inline constexpr int kRowTile = 64;  ///< query rows that share a block of keys

/// Query rows of a tile: the heads of one group, then the next token's.
template <typename Products>
struct Queries {
  using Element = typename Products::Element;
  const AttentionArgs& args;
  const int kv_head;
  const int first;  ///< of the rows from the args' token 0 on
  const int count;
  float* states = nullptr;  ///< of row 0, attention_state_floats apart
  float factor[kRowTile];   ///< of sums of products, to scores in powers of two
  alignas(64) Element elements[kRowTile * kMaxHeadDim];

  // Not an aggregate: its arrays are not to be cleared.
  Queries(const AttentionArgs& attention, int head, int first_row, int rows)
      : args(attention), kv_head(head), first(first_row), count(rows) {}

  int head_dim() const { return args.kv.head_dim; }
  int token(int row) const { return (first + row) / args.group(); }
  int position(int row) const { return args.first_position + token(row); }
  size_t head(int row) const {
    return static_cast<size_t>(kv_head * args.group() + (first + row) % args.group()) * head_dim();
  }
  float* state(int row) const { return states + row * attention_state_floats(head_dim()); }
  /// The first row that sees `position`.
  int first_row(int position) const {
    return std::clamp((position - args.first_position) * args.group() - first, 0, count);
  }
  const Element* row(int r) const { return elements + static_cast<size_t>(r) * head_dim(); }
};

inline float* probability_sums(float* state, int head_dim) { return state + head_dim; }
inline float& peak_of(float* state, int head_dim) { return state[head_dim + 16]; }

template <typename Products>
void load_queries(Queries<Products>& queries) {
  const int head_dim = queries.head_dim();
  for (int r = 0; r < queries.count; ++r) {
    const float* q = queries.args.q + queries.token(r) * queries.args.q_stride + queries.head(r);
    auto* out = queries.elements + static_cast<size_t>(r) * head_dim;
    queries.factor[r] = queries.args.scale * 1.44269504088896341f;
    if constexpr (Products::kPair == 1) {
      std::copy_n(q, head_dim, out);
    } else {
      const KvScale scale = scale_to(euclidean_length(q, head_dim), 32767.0f);
      for (int d = 0; d < head_dim; d += 16)
        store_i16(Vec::load(q + d) * Vec::set(scale.inverse), out + d);
      queries.factor[r] *= scale.scale;
    }
  }
}

/// sums[r][c] = of steps i: operand(i, c) times element i of the row b + r * b_stride. In one loop,
/// or g++ does not keep the sums in registers.
template <typename Products, int R, int C, typename Operand>
[[gnu::always_inline]] inline void multiply_tile(const Operand& operand,
                                                 const typename Products::Element* b,
                                                 size_t b_stride, int steps,
                                                 typename Products::Sum (&sums)[R][C]) {
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) sums[r][c] = Products::Sum::zero();
  }
  for (int i = 0; i < steps; ++i) {
    typename Products::Operand x[C];
    for (int c = 0; c < C; ++c) x[c] = Products::load(operand(i, c));
    for (int r = 0; r < R; ++r) {
      const auto y = Products::repeat(b + r * b_stride + i * Products::kPair);
      for (int c = 0; c < C; ++c) Products::add(sums[r][c], x[c], y);
    }
  }
}

/// Calls part(std::integral_constant<int, C>, first) for `count` vectors, in powers of two.
template <int C, typename Part>
[[gnu::always_inline]] inline void for_vectors_of(int count, int first, const Part& part) {
  for (; count - first >= C; first += C) part(std::integral_constant<int, C>{}, first);
  if constexpr (C > 1) for_vectors_of<C / 2>(count, first, part);
}

/// Scores of R rows and 16 keys of each of `groups` groups, without their factors.
template <typename Products, int R>
void block_scores(const KeyBlock<typename Products::Element>& block, int groups,
                  const Queries<Products>& queries, int row, float (&scores)[R][kKeyBlock]) {
  const int head_dim = queries.head_dim();
  for_vectors_of<kAttentionVectors>(groups, 0, [&]<int C>(std::integral_constant<int, C>, int g) {
    const typename Products::Element* keys[C];
    for (int c = 0; c < C; ++c) keys[c] = block.keys[g + c];
    typename Products::Sum sums[R][C];
    multiply_tile<Products, R, C>([&](int i, int c) { return keys[c] + i * 16 * Products::kPair; },
                                  queries.row(row), static_cast<size_t>(head_dim),
                                  head_dim / Products::kPair, sums);
    for (int r = 0; r < R; ++r) {
      for (int c = 0; c < C; ++c) Products::value(sums[r][c]).store(scores[r] + (g + c) * 16);
    }
  });
}

/// The softmax over one block for R rows, lanes r of each.
template <int R>
struct BlockSoftmax {
  Vec sums[R];                      ///< of probabilities, relative to the block's peak
  alignas(64) float peak[16] = {};  ///< the largest score
  alignas(64) float unit[16] = {};  ///< of the sums of weighted values
};

/// From scores without their factors to weights of the values. `keys` are what each row sees, all
/// of them when kWhole. In three passes over all rows, so that their chains overlap.
template <typename Products, int R, bool kWhole>
void block_softmax(const KeyBlock<typename Products::Element>& block, const int (&keys)[R],
                   const float* factors, float (&scores)[R][kKeyBlock],
                   typename Products::Element (&weights)[R][kKeyBlock], BlockSoftmax<R>& out) {
  constexpr bool kIntegers = Products::kPair == 2;
  const Vec none = Vec::set(-std::numeric_limits<float>::infinity());
  const int groups = kWhole ? kKeyGroups : (keys[R - 1] + 15) / 16;
  const auto masked = [&](int r, int g, Vec x, Vec other) {
    return kWhole ? x : first_lanes(std::clamp(keys[r] - 16 * g, 0, 16), x, other);
  };
  Vec scales[kKeyGroups];
  for (int g = 0; g < groups; ++g)
    scales[g] = kIntegers ? Vec::load(block.key_scales[g]) : Vec::set(1);
  for (int r = 0; r < R; ++r) {
    const Vec factor = Vec::set(factors[r]);
    Vec most = none;
    for (int g = 0; g < groups; ++g) {
      const Vec s = masked(r, g, Vec::load(scores[r] + 16 * g) * (scales[g] * factor), none);
      s.store(scores[r] + 16 * g);
      most = max(most, s);
    }
    out.peak[r] = largest(most);
  }
  for (int g = 0; kIntegers && g < groups; ++g) scales[g] = Vec::load(block.value_scales[g]);
  for (int r = 0; r < R; ++r) {
    const Vec peak = Vec::set(out.peak[r]);
    Vec sums = Vec::zero(), weight_sums = Vec::zero();
    for (int g = 0; g < groups; ++g) {
      const Vec p = masked(r, g, exp2(Vec::load(scores[r] + 16 * g) - peak), Vec::zero());
      const Vec weight = kIntegers ? masked(r, g, p * scales[g], Vec::zero()) : p;
      sums = sums + p;
      weight_sums = weight_sums + weight;
      weight.store(scores[r] + 16 * g);
    }
    out.sums[r] = sums;
    out.unit[r] = kIntegers ? sum(weight_sums) * (1 / 32767.0f) : 1;
  }
  for (int r = 0; r < R; ++r) {
    const Vec scale = Vec::set(1 / out.unit[r]);
    for (int g = 0; g < groups; ++g) {
      const Vec weight = Vec::load(scores[r] + 16 * g);
      if constexpr (kIntegers) store_i16(weight * scale, weights[r] + 16 * g);
      if constexpr (!kIntegers) weight.store(weights[r] + 16 * g);
    }
  }
}

/// state.out = state.out * old + (weighted sums of the block's first `keys` values) * now. What
/// lies behind them is not touched: 0 times NaN would be NaN.
template <typename Products, int R>
void add_values(const KeyBlock<typename Products::Element>& block, int keys,
                const typename Products::Element (&weights)[R][kKeyBlock], const float* old,
                const float* now, const Queries<Products>& queries, int row) {
  const int head_dim = queries.head_dim();
  const size_t step = static_cast<size_t>(head_dim) * Products::kPair;
  constexpr int kSteps = 16 / Products::kPair;  // of a group
  for_vectors_of<kAttentionVectors>(
      head_dim / 16, 0, [&]<int C>(std::integral_constant<int, C>, int first) {
        typename Products::Sum sums[R][C];
        multiply_tile<Products, R, C>(
            [&](int i, int c) {
              return block.values[i / kSteps] + i % kSteps * step +
                     (first + c) * 16 * Products::kPair;
            },
            weights[0], kKeyBlock, (keys + Products::kPair - 1) / Products::kPair, sums);
        for (int r = 0; r < R; ++r) {
          float* out = queries.state(row + r) + first * 16;
          for (int c = 0; c < C; ++c) {
            const Vec before = Vec::load(out + c * 16) * Vec::set(old[r]);
            fma(Products::value(sums[r][c]), Vec::set(now[r]), before).store(out + c * 16);
          }
        }
      });
}

/// Rows [row, row + R) against the block of keys from position `first` on.
template <typename Products, int R>
void attend_block(const KeyBlock<typename Products::Element>& block, int first,
                  const Queries<Products>& queries, int row) {
  const int head_dim = queries.head_dim();
  int keys[R];
  for (int r = 0; r < R; ++r) keys[r] = std::min(kKeyBlock, queries.position(row + r) - first + 1);
  const int groups = (keys[R - 1] + 15) / 16;
  alignas(64) float scores[R][kKeyBlock];
  alignas(64) typename Products::Element weights[R][kKeyBlock];
  block_scores<Products, R>(block, groups, queries, row, scores);
  BlockSoftmax<R> softmax;
  keys[0] == kKeyBlock ? block_softmax<Products, R, true>(block, keys, queries.factor + row, scores,
                                                          weights, softmax)
                       : block_softmax<Products, R, false>(block, keys, queries.factor + row,
                                                           scores, weights, softmax);
  alignas(64) float peaks[16] = {}, old[16], now[16];
  for (int r = 0; r < R; ++r) peaks[r] = peak_of(queries.state(row + r), head_dim);
  const Vec before = Vec::load(peaks), here = Vec::load(softmax.peak), peak = max(before, here);
  exp2(before - peak).store(old);
  exp2(here - peak).store(now);
  peak.store(peaks);
  for (int r = 0; r < R; ++r) {
    float* state = queries.state(row + r);
    float* sums = probability_sums(state, head_dim);
    fma(softmax.sums[r], Vec::set(now[r]), Vec::load(sums) * Vec::set(old[r])).store(sums);
    peak_of(state, head_dim) = peaks[r];
    now[r] *= softmax.unit[r];
  }
  add_values<Products, R>(block, keys[R - 1], weights, old, now, queries, row);
}

/// All rows that see something of the part.
template <typename Products>
void attend_part(const Queries<Products>& queries, int part, BlockSpace& space) {
  const AttentionArgs& args = queries.args;
  const KvPages& kv = args.kv;
  const int begin = part * kAttentionPart;
  const int end = std::min(begin + kAttentionPart, queries.position(queries.count - 1) + 1);
  for (int r = queries.first_row(begin); r < queries.count; ++r) {
    std::fill_n(queries.state(r), attention_state_floats(kv.head_dim), 0.0f);
    peak_of(queries.state(r), kv.head_dim) = -std::numeric_limits<float>::infinity();
  }
  for (int first = begin; first < end; first += kKeyBlock) {
    KeyBlock<typename Products::Element> block;
    for (int g = 0; g < kKeyGroups && first + 16 * g < end; ++g) {
      const int position = first + 16 * g;
      load_group(kv,
                 kv.scale_index(args.pages[position / kv.page_tokens], queries.kv_head,
                                position % kv.page_tokens),
                 g, space, block);
    }
    const int skipped = queries.first_row(first);
    for_tiles<kAttentionRows>(queries.count - skipped,
                              [&]<int R>(std::integral_constant<int, R>, int row) {
                                attend_block<Products, R>(block, first, queries, skipped + row);
                              });
  }
}

/// Adds what a row saw of the next part to what it saw before.
inline void merge_states(int head_dim, const float* part, float* state) {
  alignas(64) float peaks[16] = {state[head_dim + 16], part[head_dim + 16]}, factors[16];
  const float peak = std::max(peaks[0], peaks[1]);
  exp2(Vec::load(peaks) - Vec::set(peak)).store(factors);
  for (int d = 0; d < head_dim + 16; d += 16) {
    fma(Vec::load(part + d), Vec::set(factors[1]), Vec::load(state + d) * Vec::set(factors[0]))
        .store(state + d);
  }
  state[head_dim + 16] = peak;
}

inline void store_result(int head_dim, const float* state, float* out) {
  const Vec inverse = Vec::set(1.0f / sum(Vec::load(state + head_dim)));
  for (int d = 0; d < head_dim; d += 16) (Vec::load(state + d) * inverse).store(out + d);
}

/// Calls use(queries) for tiles of the tokens' rows.
template <typename Products, typename Use>
void for_queries(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                 const Use& use) {
  const int group = args.group();
  for (int row = token_begin * group; row < token_end * group; row += kRowTile) {
    Queries<Products> queries(args, kv_head, row, std::min(kRowTile, token_end * group - row));
    load_queries(queries);
    use(queries);
  }
}

template <typename Products>
void attention_of(const AttentionArgs& args, int kv_head, int token_begin, int token_end) {
  constexpr size_t kFloats = kRowTile * attention_state_floats(kMaxHeadDim);
  alignas(64) float sums[kFloats], next[kFloats];
  BlockSpace space;
  for_queries<Products>(args, kv_head, token_begin, token_end, [&](Queries<Products>& queries) {
    const int head_dim = queries.head_dim();
    const int last_part = queries.position(queries.count - 1) / kAttentionPart;
    queries.states = sums;
    attend_part(queries, 0, space);
    for (int part = 1; part <= last_part; ++part) {
      queries.states = next;
      attend_part(queries, part, space);
      for (int r = queries.first_row(part * kAttentionPart); r < queries.count; ++r) {
        merge_states(head_dim, queries.state(r), sums + r * attention_state_floats(head_dim));
      }
    }
    queries.states = sums;
    for (int r = 0; r < queries.count; ++r) {
      store_result(head_dim, queries.state(r),
                   args.out + queries.token(r) * args.out_stride + queries.head(r));
    }
  });
}

template <typename Products>
void attention_part_of(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                       int part, const AttentionStates& states) {
  BlockSpace space;
  for_queries<Products>(args, kv_head, token_begin, token_end, [&](Queries<Products>& queries) {
    const int row = queries.first - token_begin * args.group();
    queries.states =
        states.data + part * states.part_stride + row * attention_state_floats(args.kv.head_dim);
    if (queries.first_row(part * kAttentionPart) < queries.count) attend_part(queries, part, space);
  });
}

void attention(const AttentionArgs& args, int kv_head, int token_begin, int token_end) {
  args.kv.type == KvType::kF32
      ? attention_of<FloatProducts>(args, kv_head, token_begin, token_end)
      : attention_of<IntegerProducts>(args, kv_head, token_begin, token_end);
}

void attention_part(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                    int part, const AttentionStates& states) {
  args.kv.type == KvType::kF32
      ? attention_part_of<FloatProducts>(args, kv_head, token_begin, token_end, part, states)
      : attention_part_of<IntegerProducts>(args, kv_head, token_begin, token_end, part, states);
}

void attention_merge(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                     const AttentionStates& states) {
  const int group = args.group(), head_dim = args.kv.head_dim;
  const size_t floats = attention_state_floats(head_dim);
  alignas(64) float sums[attention_state_floats(kMaxHeadDim)];
  for (int row = 0; row < (token_end - token_begin) * group; ++row) {
    const int token = token_begin + row / group;
    const float* part = states.data + row * floats;
    std::copy_n(part, floats, sums);
    for (int p = 1; p <= (args.first_position + token) / kAttentionPart; ++p)
      merge_states(head_dim, part + p * states.part_stride, sums);
    store_result(head_dim, sums,
                 args.out + token * args.out_stride +
                     static_cast<size_t>(kv_head * group + row % group) * head_dim);
  }
}
