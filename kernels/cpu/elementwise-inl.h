// Row-wise kernels. Included by each instruction set's .cc inside its namespace, after its simd
// header.

/// e^x within about 2 units in the last place; 0 below -87, saturated above 88.
inline Vec exp(Vec x) {
  const Vec bounded = min(max(x, Vec::set(-87.3f)), Vec::set(88.3f));
  const Vec n = round(bounded * Vec::set(1.44269504088896341f));
  // ln 2 in two parts, so that r keeps its low bits.
  Vec r = fma(n, Vec::set(-0.693359375f), bounded);
  r = fma(n, Vec::set(2.12194440e-4f), r);
  Vec p = Vec::set(1.0f / 5040);
  p = fma(p, r, Vec::set(1.0f / 720));
  p = fma(p, r, Vec::set(1.0f / 120));
  p = fma(p, r, Vec::set(1.0f / 24));
  p = fma(p, r, Vec::set(1.0f / 6));
  p = fma(p, r, Vec::set(0.5f));
  p = fma(p, r, Vec::set(1.0f));
  p = fma(p, r, Vec::set(1.0f));
  return scale_by_power(p, n);
}

/// Calls body(offset, count) for 16 columns at a time, fewer at the end.
template <typename Body>
[[gnu::always_inline]] inline void for_vectors(int columns, const Body& body) {
  int k = 0;
  for (; k + kPanelRows <= columns; k += kPanelRows) body(k, kPanelRows);
  if (k < columns) body(k, columns - k);
}

/// 32 floats as quants of group `group` of row `target`.
inline void quantize_group(Vec a, Vec b, size_t target, int group, const QuantizedRows& out) {
  const float amax = largest(max(abs(a), abs(b)));
  const Vec inverse = Vec::set(amax > 0 ? 127.0f / amax : 0.0f);
  const QuantSums sums = store_quants(a * inverse, b * inverse,
                                      out.values + target * out.padded_columns + group * kGroup);
  const size_t index = target * out.groups() + group;
  const float scale = amax / 127.0f;
  out.scales[index] = scale;
  out.scaled_sums[index] = scale * static_cast<float>(sums.first + sums.second);
  out.negated_sums[index] = -(sums.first + sums.second);
  out.negated_half_sums[2 * index] = -sums.first;
  out.negated_half_sums[2 * index + 1] = -sums.second;
}

/// Calls use(a, b, group) for the row's groups of 32, zeros past its end.
template <typename Use>
[[gnu::always_inline]] inline void for_groups(const float* row, int columns, int groups,
                                              const Use& use) {
  for (int g = 0; g < groups; ++g) {
    const int left = std::clamp(columns - g * kGroup, 0, kGroup);
    const float* source = row + g * kGroup;
    const Vec a = left >= 16 ? Vec::load(source) : Vec::load(source, left);
    const Vec b = left == kGroup ? Vec::load(source + 16)
                  : left > 16    ? Vec::load(source + 16, left - 16)
                                 : Vec::zero();
    use(a, b, g);
  }
}

void quantize_rows(const float* x, size_t x_stride, int rows, int columns, int first_row,
                   const QuantizedRows& out) {
  for (int r = 0; r < rows; ++r) {
    const size_t target = static_cast<size_t>(first_row + r);
    for_groups(x + r * x_stride, columns, out.groups(),
               [&](Vec a, Vec b, int g) { quantize_group(a, b, target, g, out); });
  }
}

void quantize_residuals(const float* x, size_t x_stride, int rows, int columns, int first_row,
                        const QuantizedRows& quantized, const QuantizedRows& out) {
  for (int r = 0; r < rows; ++r) {
    const size_t target = static_cast<size_t>(first_row + r);
    for_groups(x + r * x_stride, columns, out.groups(), [&](Vec a, Vec b, int g) {
      const int8_t* quants =
          quantized.values + target * quantized.padded_columns + static_cast<size_t>(g) * kGroup;
      const Vec scale = Vec::set(-quantized.scales[target * quantized.groups() + g]);
      quantize_group(fma(Vec::load_i8(quants), scale, a), fma(Vec::load_i8(quants + 16), scale, b),
                     target, g, out);
    });
  }
}

void quantize_rows_wide(const float* x, size_t x_stride, int rows, int columns, int first_row,
                        const WideRows& out) {
  const Vec limit = Vec::set(kWordLimit);
  for (int r = 0; r < rows; ++r) {
    const size_t target = static_cast<size_t>(first_row + r);
    int16_t* quants = out.values + target * out.padded_columns;
    for_groups(x + r * x_stride, columns, out.groups(), [&](Vec a, Vec b, int g) {
      const float amax = largest(max(abs(a), abs(b)));
      const Vec inverse = Vec::set(amax > 0 ? kWordLimit / amax : 0.0f);
      store_i16(min(a * inverse, limit), quants + g * kGroup);
      store_i16(min(b * inverse, limit), quants + g * kGroup + 16);
      out.scales[target * out.groups() + g] = amax / kWordLimit;
    });
  }
}

void rms_norm(const float* x, const float* weight, float epsilon, int columns, float* out) {
  Vec squares = Vec::zero();
  for_vectors(columns, [&](int k, int n) {
    const Vec v = Vec::load(x + k, n);
    squares = fma(v, v, squares);
  });
  const Vec factor =
      Vec::set(1.0f / std::sqrt(sum(squares) / static_cast<float>(columns) + epsilon));
  for_vectors(columns, [&](int k, int n) {
    (Vec::load(x + k, n) * factor * Vec::load(weight + k, n)).store(out + k, n);
  });
}

void silu_mul(float* gate, const float* up, int columns) {
  for_vectors(columns, [&](int k, int n) {
    const Vec g = Vec::load(gate + k, n);
    const Vec silu = g / (Vec::set(1.0f) + exp(Vec::zero() - g));
    (silu * Vec::load(up + k, n)).store(gate + k, n);
  });
}

inline void turn_halves(float* head, int half, const float* cos_sin) {
  for_vectors(half, [&](int i, int n) {
    const Vec a = Vec::load(head + i, n), b = Vec::load(head + half + i, n);
    const Vec cosine = Vec::load(cos_sin + i, n), sine = Vec::load(cos_sin + half + i, n);
    (a * cosine - b * sine).store(head + i, n);
    (b * cosine + a * sine).store(head + half + i, n);
  });
}

inline void turn_neighbours(float* head, int half, const float* cos_sin) {
  for (int i = 0; i < half; ++i) {
    const float a = head[2 * i], b = head[2 * i + 1];
    head[2 * i] = a * cos_sin[i] - b * cos_sin[half + i];
    head[2 * i + 1] = b * cos_sin[i] + a * cos_sin[half + i];
  }
}

void rope(float* x, int heads, int head_dim, int dims, bool interleaved, const float* cos_sin) {
  for (int h = 0; h < heads; ++h) {
    float* head = x + static_cast<size_t>(h) * head_dim;
    if (interleaved) {
      turn_neighbours(head, dims / 2, cos_sin);
    } else {
      turn_halves(head, dims / 2, cos_sin);
    }
  }
}
