// Attention over KV pages: 16 keys at a time, online softmax. Included by each instruction set's
// .cc inside its namespace, after elementwise-inl.h.
//
// Blocks of 16 keys are taken in order of position for every query row, so a row's result does not
// depend on the rows beside it: a block past a row's position has probability 0 and leaves the
// row's state as it is.

template <bool kExact>
struct KvType {
  using Element = std::conditional_t<kExact, float, uint16_t>;
  static Vec load(const Element* p) {
    if constexpr (kExact) return Vec::load(p);
    if constexpr (!kExact) return Vec::load_f16(p);
  }
  static void store(Element* p, Vec v) {
    if constexpr (kExact) v.store(p);
    if constexpr (!kExact) v.store_f16(p);
  }
  static Element convert(float x) {
    if constexpr (kExact) return x;
    if constexpr (!kExact) return to_f16(x);
  }
};

template <bool kExact>
void append_position(const KvPages& kv, int page, int offset, const float* k, const float* v) {
  using Type = KvType<kExact>;
  auto* keys = static_cast<typename Type::Element*>(kv.keys) + page * kv.page_elements();
  auto* values = static_cast<typename Type::Element*>(kv.values) + page * kv.page_elements();
  for (int h = 0; h < kv.kv_heads; ++h) {
    const size_t head = static_cast<size_t>(h) * kv.page_tokens * kv.head_dim;
    auto* block = keys + head + static_cast<size_t>(offset / 16) * kv.head_dim * 16 + offset % 16;
    auto* row = values + head + static_cast<size_t>(offset) * kv.head_dim;
    const float* key = k + static_cast<size_t>(h) * kv.head_dim;
    for (int d = 0; d < kv.head_dim; ++d) block[d * 16] = Type::convert(key[d]);
    for (int d = 0; d < kv.head_dim; d += 16) {
      Type::store(row + d, Vec::load(v + static_cast<size_t>(h) * kv.head_dim + d));
    }
  }
}

void kv_append(const KvPages& kv, int page, int offset, const float* k, const float* v) {
  kv.exact ? append_position<true>(kv, page, offset, k, v)
           : append_position<false>(kv, page, offset, k, v);
}

/// The softmax state of R query rows.
template <int R>
struct AttentionState {
  const float* q[R];
  int position[R];
  float peak[R];
  Vec total[R];  ///< lane i sums the probabilities of keys i, i + 16, ...
  alignas(64) float probabilities[R][16];
  alignas(64) float out[R][kMaxHeadDim];  ///< not yet divided by the total
};

/// Scores of 16 keys; even and odd elements apart, so that two chains are in flight.
template <bool kExact, int R>
[[gnu::always_inline]] inline void block_scores(const typename KvType<kExact>::Element* keys,
                                                int head_dim, const AttentionState<R>& state,
                                                Vec (&scores)[R]) {
  Vec odd[R];
  for (int r = 0; r < R; ++r) scores[r] = odd[r] = Vec::zero();
  for (int d = 0; d < head_dim; d += 2) {
    const Vec k0 = KvType<kExact>::load(keys + d * 16),
              k1 = KvType<kExact>::load(keys + (d + 1) * 16);
    for (int r = 0; r < R; ++r) scores[r] = fma(k0, Vec::set(state.q[r][d]), scores[r]);
    for (int r = 0; r < R; ++r) odd[r] = fma(k1, Vec::set(state.q[r][d + 1]), odd[r]);
  }
  for (int r = 0; r < R; ++r) scores[r] = scores[r] + odd[r];
}

/// Turns scores into probabilities against the row's peak so far; returns the factor for what was
/// summed before.
template <int R>
[[gnu::always_inline]] inline float update_softmax(AttentionState<R>& state, int r, Vec score,
                                                   float scale, int keys) {
  const Vec masked =
      first_lanes(keys, score * Vec::set(scale), Vec::set(-std::numeric_limits<float>::infinity()));
  const float peak = std::max(state.peak[r], largest(masked));
  alignas(64) float factor[16];
  exp(Vec::set(std::max(state.peak[r] - peak, -87.0f))).store(factor);
  const Vec p = first_lanes(keys, exp(masked - Vec::set(peak)), Vec::zero());
  const float correction = peak == state.peak[r] ? 1.0f : factor[0];
  state.total[r] = fma(state.total[r], Vec::set(correction), p);
  p.store(state.probabilities[r]);
  state.peak[r] = peak;
  return correction;
}

template <bool kExact, int R>
[[gnu::always_inline]] inline void add_values(const typename KvType<kExact>::Element* values,
                                              int head_dim, int keys, const float (&correction)[R],
                                              AttentionState<R>& state) {
  for (int d = 0; d < head_dim; d += 16) {
    Vec sums[R];
    for (int r = 0; r < R; ++r) sums[r] = Vec::load(state.out[r] + d) * Vec::set(correction[r]);
    for (int j = 0; j < keys; ++j) {
      const Vec v = KvType<kExact>::load(values + static_cast<size_t>(j) * head_dim + d);
      for (int r = 0; r < R; ++r) sums[r] = fma(v, Vec::set(state.probabilities[r][j]), sums[r]);
    }
    for (int r = 0; r < R; ++r) sums[r].store(state.out[r] + d);
  }
}

template <bool kExact, int R>
void attend_rows(const AttentionArgs& args, int kv_head, AttentionState<R>& state) {
  const KvPages& kv = args.kv;
  using Element = typename KvType<kExact>::Element;
  const int last = *std::max_element(state.position, state.position + R);
  const size_t head = static_cast<size_t>(kv_head) * kv.page_tokens * kv.head_dim;
  for (int r = 0; r < R; ++r) {
    state.peak[r] = -std::numeric_limits<float>::infinity();
    state.total[r] = Vec::zero();
    for (int d = 0; d < kv.head_dim; d += 16) Vec::zero().store(state.out[r] + d);
  }
  for (int first = 0; first <= last; first += 16) {
    const size_t page = args.pages[first / kv.page_tokens] * kv.page_elements();
    const size_t block = page + head + static_cast<size_t>(first % kv.page_tokens) * kv.head_dim;
    Vec scores[R];
    block_scores<kExact, R>(static_cast<const Element*>(kv.keys) + block, kv.head_dim, state,
                            scores);
    float correction[R];
    for (int r = 0; r < R; ++r) {
      const int keys = std::clamp(state.position[r] - first + 1, 0, 16);
      correction[r] = update_softmax(state, r, scores[r], args.scale, keys);
    }
    add_values<kExact, R>(static_cast<const Element*>(kv.values) + block, kv.head_dim,
                          std::min(16, last - first + 1), correction, state);
  }
}

/// Rows of a tile are query heads of one group, then the next token's.
template <bool kExact, int R>
void attention_tile(const AttentionArgs& args, int kv_head, int first_row, int first_token) {
  const int group = args.heads / args.kv.kv_heads;
  AttentionState<R> state;
  size_t offsets[R];
  for (int r = 0; r < R; ++r) {
    const int token = first_token + (first_row + r) / group;
    const size_t head =
        static_cast<size_t>(kv_head * group + (first_row + r) % group) * args.kv.head_dim;
    state.q[r] = args.q + token * args.q_stride + head;
    state.position[r] = args.first_position + token;
    offsets[r] = token * args.out_stride + head;
  }
  attend_rows<kExact, R>(args, kv_head, state);
  for (int r = 0; r < R; ++r) {
    const Vec inverse = Vec::set(1.0f / sum(state.total[r]));
    for (int d = 0; d < args.kv.head_dim; d += 16) {
      (Vec::load(state.out[r] + d) * inverse).store(args.out + offsets[r] + d);
    }
  }
}

template <bool kExact>
void attention_rows(const AttentionArgs& args, int kv_head, int token_begin, int token_end) {
  const int rows = (token_end - token_begin) * (args.heads / args.kv.kv_heads);
  for_tiles<kAttentionRows>(rows, [&]<int R>(std::integral_constant<int, R>, int row) {
    attention_tile<kExact, R>(args, kv_head, row, token_begin);
  });
}

void attention(const AttentionArgs& args, int kv_head, int token_begin, int token_end) {
  args.kv.exact ? attention_rows<true>(args, kv_head, token_begin, token_end)
                : attention_rows<false>(args, kv_head, token_begin, token_end);
}
