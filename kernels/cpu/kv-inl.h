// Keys and values on their way into pages and out of them. Included by each instruction set's .cc
// inside its namespace, after its simd header.

/// The scale that gives elements of `row` their type, and its inverse.
struct KvScale {
  float scale, inverse;
};

/// Far below what a model computes with, and its inverse is still a float.
inline constexpr float kSmallestLength = 1e-20f;

inline KvScale scale_to(float length, float wanted) {
  const float bounded = std::max(length, kSmallestLength);  // NaN stays NaN
  return {bounded / wanted, wanted / bounded};
}

inline float euclidean_length(const float* row, int count) {
  Vec squares = Vec::zero();
  for (int d = 0; d < count; d += 16) {
    const Vec v = Vec::load(row + d);
    squares = fma(v, v, squares);
  }
  return std::sqrt(sum(squares));
}

inline float largest_magnitude(const float* row, int count) {
  Vec most = Vec::zero();
  for (int d = 0; d < count; d += 16) most = max(abs(Vec::load(row + d)), most);
  return largest(most);
}

/// A row's elements go to out[d / P * pair_step + d % P * step].
template <int P, typename Element>
void scatter(const Element* row, int head_dim, size_t pair_step, size_t step, Element* out) {
  for (int d = 0; d < head_dim; d += P, out += pair_step) {
    for (int i = 0; i < P; ++i) out[i * step] = row[d + i];
  }
}

/// Writes a key, or a value, as the pages' type wants it, to elements from `index` on; returns its
/// scale.
template <bool kKey>
float store_row(const KvPages& kv, const float* row, void* base, size_t index) {
  const int head_dim = kv.head_dim, pair = kv.pair();
  const size_t pair_step = kKey ? 16 * pair : pair * pair, step = kKey ? 1 : pair;
  if (kv.type == KvType::kF32) {
    scatter<1>(row, head_dim, pair_step, step, static_cast<float*>(base) + index);
    return 1;
  }
  if (!has_scales(kv.type)) {
    alignas(64) uint16_t bits[kMaxHeadDim];
    for (int d = 0; kv.type == KvType::kF16 && d < head_dim; d += 16)
      Vec::load(row + d).store_f16(bits + d);
    for (int d = 0; kv.type == KvType::kBF16 && d < head_dim; ++d)
      bits[d] = float_to_bfloat16(row[d]);
    scatter<1>(bits, head_dim, pair_step, step, static_cast<uint16_t*>(base) + index);
    return 1;
  }
  const bool wide = kv.type == KvType::kInt16;
  const KvScale scale =
      scale_to(kKey && wide ? euclidean_length(row, head_dim) : largest_magnitude(row, head_dim),
               wide ? 32767.0f : 127.0f);
  alignas(64) int16_t quants[kMaxHeadDim];
  for (int d = 0; d < head_dim; d += 16)
    store_i16(Vec::load(row + d) * Vec::set(scale.inverse), quants + d);
  if (wide) {
    scatter<2>(quants, head_dim, pair_step, step, static_cast<int16_t*>(base) + index);
  } else {
    alignas(64) int8_t bytes[kMaxHeadDim];
    std::copy_n(quants, head_dim, bytes);
    scatter<2>(bytes, head_dim, pair_step, step, static_cast<int8_t*>(base) + index);
  }
  return scale.scale;
}

void kv_append(const KvPages& kv, int page, int offset, const float* k, const float* v) {
  for (int h = 0; h < kv.kv_heads; ++h, k += kv.head_dim, v += kv.head_dim) {
    const float key_scale = store_row<true>(kv, k, kv.keys, kv.key_index(page, h, offset, 0));
    const float value_scale =
        store_row<false>(kv, v, kv.values, kv.value_index(page, h, offset, 0));
    if (!has_scales(kv.type)) continue;
    kv.key_scales[kv.scale_index(page, h, offset)] = key_scale;
    kv.value_scales[kv.scale_index(page, h, offset)] = value_scale;
  }
}

inline constexpr int kKeyBlock = 64;  ///< keys of one step of the softmax
inline constexpr int kKeyGroups = kKeyBlock / 16;

/// Up to 64 keys and values, 16 side by side: keys [head_dim / P][16][P], values
/// [16 / P][head_dim][P], scales [16].
template <typename Element>
struct KeyBlock {
  const Element* keys[kKeyGroups];
  const Element* values[kKeyGroups];
  const float* key_scales[kKeyGroups];
  const float* value_scales[kKeyGroups];
};

/// A block that does not lie in pages as it is multiplied with.
struct BlockSpace {
  alignas(64) int16_t keys[kKeyBlock * kMaxHeadDim];
  alignas(64) int16_t values[kKeyBlock * kMaxHeadDim];
  alignas(64) float key_scales[kKeyBlock];
  alignas(64) float value_scales[kKeyBlock];
};

/// 16 keys [head_dim][16] as int16 in pairs.
template <Vec (*kLoad)(const void*)>
void convert_keys(const uint16_t* in, int head_dim, int16_t* out, float* scales) {
  Vec squares = Vec::zero();
  for (int d = 0; d < head_dim; ++d) {
    const Vec k = kLoad(in + static_cast<size_t>(d) * 16);
    squares = fma(k, k, squares);
  }
  const Vec length = max(Vec::set(kSmallestLength), sqrt(squares));
  (length * Vec::set(1 / 32767.0f)).store(scales);
  const Vec inverse = Vec::set(32767.0f) / length;
  for (int d = 0; d < head_dim; d += 2) {
    const uint16_t* two = in + static_cast<size_t>(d) * 16;
    store_pairs(kLoad(two) * inverse, kLoad(two + 16) * inverse, out + static_cast<size_t>(d) * 16);
  }
}

/// 16 values [16][head_dim] as int16 in pairs.
template <Vec (*kLoad)(const void*)>
void convert_values(const uint16_t* in, int head_dim, int16_t* out, float* scales) {
  for (int j = 0; j < 16; j += 2) {
    const uint16_t* a = in + static_cast<size_t>(j) * head_dim;
    const uint16_t* b = a + head_dim;
    Vec most_a = Vec::zero(), most_b = Vec::zero();
    for (int d = 0; d < head_dim; d += 16) {
      most_a = max(abs(kLoad(a + d)), most_a);
      most_b = max(abs(kLoad(b + d)), most_b);
    }
    const KvScale scale_a = scale_to(largest(most_a), 32767.0f);
    const KvScale scale_b = scale_to(largest(most_b), 32767.0f);
    scales[j] = scale_a.scale;
    scales[j + 1] = scale_b.scale;
    const Vec inverse_a = Vec::set(scale_a.inverse), inverse_b = Vec::set(scale_b.inverse);
    int16_t* pairs = out + static_cast<size_t>(j) * head_dim;
    for (int d = 0; d < head_dim; d += 16)
      store_pairs(kLoad(a + d) * inverse_a, kLoad(b + d) * inverse_b, pairs + 2 * d);
  }
}

inline void widen(const int8_t* in, size_t count, int16_t* out) {
  for (size_t i = 0; i < count; i += 32) widen_i8(in + i, out + i);
}

/// Group g of the block: the 16 positions whose scales are at `at` in the pages.
template <typename Element>
void load_group(const KvPages& kv, size_t at, int g, BlockSpace& space, KeyBlock<Element>& block) {
  const size_t first = at * kv.head_dim, count = static_cast<size_t>(kv.head_dim) * 16;
  if constexpr (std::is_same_v<Element, float>) {
    block.keys[g] = static_cast<const float*>(kv.keys) + first;
    block.values[g] = static_cast<const float*>(kv.values) + first;
  } else {
    if (kv.type == KvType::kInt16) {
      block.keys[g] = static_cast<const int16_t*>(kv.keys) + first;
      block.values[g] = static_cast<const int16_t*>(kv.values) + first;
    } else {
      block.keys[g] = space.keys + g * count;
      block.values[g] = space.values + g * count;
    }
    block.key_scales[g] = has_scales(kv.type) ? kv.key_scales + at : space.key_scales + 16 * g;
    block.value_scales[g] =
        has_scales(kv.type) ? kv.value_scales + at : space.value_scales + 16 * g;
    const auto convert = [&]<Vec (*kLoad)(const void*)>() {
      convert_keys<kLoad>(static_cast<const uint16_t*>(kv.keys) + first, kv.head_dim,
                          space.keys + g * count, space.key_scales + 16 * g);
      convert_values<kLoad>(static_cast<const uint16_t*>(kv.values) + first, kv.head_dim,
                            space.values + g * count, space.value_scales + 16 * g);
    };
    if (kv.type == KvType::kF16) convert.template operator()<&Vec::load_f16>();
    if (kv.type == KvType::kBF16) convert.template operator()<&Vec::load_bf16>();
    if (kv.type == KvType::kInt8) {
      widen(static_cast<const int8_t*>(kv.keys) + first, count, space.keys + g * count);
      widen(static_cast<const int8_t*>(kv.values) + first, count, space.values + g * count);
    }
  }
}
