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

/// Dot products in four chains, so that they are not bound by the adder's latency.
struct Chains {
  Vec v[4] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
  Vec total() const { return (v[0] + v[1]) + (v[2] + v[3]); }
};

/// 16 columns of a head's state through all tokens; they stay in the first-level cache.
inline void delta_columns(const DeltaRuleArgs& args, int column, int n, int tokens) {
  const size_t width = static_cast<size_t>(args.value_dim);
  float* const state = args.state + column;
  for (int t = 0; t < tokens; ++t) {
    const float* q = args.query + t * args.stride;
    const float* k = args.key + t * args.stride;
    const Vec decay = Vec::set(args.decay[t * args.gate_stride]);
    const Vec beta = Vec::set(args.beta[t * args.gate_stride]);
    Chains seen;
    for (int i = 0; i < args.key_dim; ++i) {
      seen.v[i % 4] = fma(Vec::load(state + i * width, n), Vec::set(k[i]), seen.v[i % 4]);
    }
    const Vec value = Vec::load(args.value + t * args.stride + column, n);
    const Vec delta = beta * (value - decay * seen.total());
    Chains out;
    for (int i = 0; i < args.key_dim; ++i) {
      float* row = state + i * width;
      const Vec updated = fma(delta, Vec::set(k[i]), decay * Vec::load(row, n));
      updated.store(row, n);
      out.v[i % 4] = fma(updated, Vec::set(q[i]), out.v[i % 4]);
    }
    out.total().store(args.out + t * args.out_stride + column, n);
  }
}

void delta_rule(const DeltaRuleArgs& args, int column_begin, int column_end, int tokens) {
  for_vectors(column_end - column_begin,
              [&](int k, int n) { delta_columns(args, column_begin + k, n, tokens); });
}
