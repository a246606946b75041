// What a gated delta net needs beside its products. Included by each instruction set's .cc inside
// its namespace, after elementwise-inl.h.

inline Vec sigmoid(Vec x) { return Vec::set(1.0f) / (Vec::set(1.0f) + exp(Vec::zero() - x)); }

void sigmoid_mul(float* x, const float* gate, int columns) {
  for_vectors(columns, [&](int k, int n) {
    (Vec::load(x + k, n) * sigmoid(Vec::load(gate + k, n))).store(x + k, n);
  });
}

void scale_to_length(float* x, float length, float epsilon, int columns) {
  Vec squares = Vec::zero();
  for_vectors(columns, [&](int k, int n) {
    const Vec v = Vec::load(x + k, n);
    squares = fma(v, v, squares);
  });
  const Vec factor = Vec::set(length / std::sqrt(sum(squares) + epsilon));
  for_vectors(columns, [&](int k, int n) { (Vec::load(x + k, n) * factor).store(x + k, n); });
}

/// 16 channels through all tokens: the inputs that a token looks back at stay in `window`.
inline void conv_channels(const ConvArgs& args, int channel, int n, int tokens) {
  const int past = args.kernel - 1;
  const size_t width = static_cast<size_t>(args.channels);
  Vec window[kMaxConvKernel], taps[kMaxConvKernel];
  for (int j = 0; j < past; ++j) window[j] = Vec::load(args.state + j * width + channel, n);
  for (int j = 0; j <= past; ++j) taps[j] = Vec::load(args.weight + j * width + channel, n);
  for (int t = 0; t < tokens; ++t) {
    float* row = args.rows + t * args.stride + channel;
    window[past] = Vec::load(row, n);
    Vec total = taps[0] * window[0];
    for (int j = 1; j <= past; ++j) total = fma(taps[j], window[j], total);
    (total * sigmoid(total)).store(row, n);
    for (int j = 0; j < past; ++j) window[j] = window[j + 1];
  }
  for (int j = 0; j < past; ++j) window[j].store(args.state + j * width + channel, n);
}

void conv_silu(const ConvArgs& args, int channel_begin, int channel_end, int tokens) {
  for_vectors(channel_end - channel_begin,
              [&](int k, int n) { conv_channels(args, channel_begin + k, n, tokens); });
}

/// A block of the state through all tokens; it stays in the first-level cache. Four rows at a time:
/// their sums are four chains, so that they do not wait for each other.
inline void delta_block(const DeltaRuleArgs& args, int block, int tokens) {
  float* const state = args.state + static_cast<size_t>(block) * args.key_dim * kStateBlock;
  for (int t = 0; t < tokens; ++t) {
    const float* q = args.query + t * args.stride;
    const float* k = args.key + t * args.stride;
    const Vec decay = Vec::set(args.decay[t * args.gate_stride]);
    Vec seen[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    for (int i = 0; i < args.key_dim; i += 4) {
      const float* rows = state + i * kStateBlock;
      seen[0] = fma(Vec::load(rows), Vec::set(k[i]), seen[0]);
      seen[1] = fma(Vec::load(rows + kStateBlock), Vec::set(k[i + 1]), seen[1]);
      seen[2] = fma(Vec::load(rows + 2 * kStateBlock), Vec::set(k[i + 2]), seen[2]);
      seen[3] = fma(Vec::load(rows + 3 * kStateBlock), Vec::set(k[i + 3]), seen[3]);
    }
    const Vec value = Vec::load(args.value + t * args.stride + block * kStateBlock);
    const Vec predicted = decay * ((seen[0] + seen[1]) + (seen[2] + seen[3]));
    const Vec delta = Vec::set(args.beta[t * args.gate_stride]) * (value - predicted);
    Vec out[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    const auto update = [&](int i, Vec& chain) {
      float* row = state + i * kStateBlock;
      const Vec updated = fma(delta, Vec::set(k[i]), decay * Vec::load(row));
      updated.store(row);
      chain = fma(updated, Vec::set(q[i]), chain);
    };
    for (int i = 0; i < args.key_dim; i += 4) {
      update(i, out[0]);
      update(i + 1, out[1]);
      update(i + 2, out[2]);
      update(i + 3, out[3]);
    }
    ((out[0] + out[1]) + (out[2] + out[3]))
        .store(args.out + t * args.out_stride + block * kStateBlock);
  }
}

void delta_rule(const DeltaRuleArgs& args, int block_begin, int block_end, int tokens) {
  for (int block = block_begin; block < block_end; ++block) delta_block(args, block, tokens);
}
