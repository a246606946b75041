// What kernels that work on whole rows share: sums over a block, and rows written as a product
// wants them.
#pragma once

#include "kernels/cuda/portable.cuh"

namespace mokume::cuda::MKM_TARGET {

/// The block's sum (or largest), added in one order; `scratch` holds a float a warp and may be used
/// again at once.
MKM_DEVICE float block_sum(float value, Ptr<float> scratch) {
  value = warp_sum(value);
  if (lane_id() == 0) scratch[warp_id()] = value;
  sync_block();
  float total = 0;
  for (int i = 0; i < static_cast<int>(block_threads()) / kWarp; ++i) {
    const float part = scratch[i];
    total += part;
  }
  sync_block();
  return total;
}
MKM_DEVICE float block_max(float value, Ptr<float> scratch) {
  value = warp_max(value);
  if (lane_id() == 0) scratch[warp_id()] = value;
  sync_block();
  float largest = 0;
  for (int i = 0; i < static_cast<int>(block_threads()) / kWarp; ++i) {
    const float part = scratch[i];
    largest = fmaxf(largest, part);
  }
  sync_block();
  return largest;
}

/// A value beyond f16's range becomes the last of it: a sum with an infinity in it would be lost.
template <typename T>
MKM_DEVICE float within(float x) {
  if constexpr (!std::is_same_v<T, Half>) return x;
  return fabsf(x) > 65504.0f ? copysignf(65504.0f, x) : x;
}

MKM_DEVICE void store4(Ptr<float> out, Float4 v) { store(out, v); }
template <typename T>
MKM_DEVICE void store4(Ptr<T> out, Float4 v) {
  v = {within<T>(v.x), within<T>(v.y), within<T>(v.z), within<T>(v.w)};
  const T a = from_float<T>(v.x), b = from_float<T>(v.y), c = from_float<T>(v.z),
          d = from_float<T>(v.w);
  if constexpr (sizeof(T) == 2) {
    store(out, Words2{{a.bits | (static_cast<uint32_t>(b.bits) << 16),
                       c.bits | (static_cast<uint32_t>(d.bits) << 16)}});
  } else {
    store(out, byte_of(a) | (byte_of(b) << 8) | (byte_of(c) << 16) | (byte_of(d) << 24));
  }
}
MKM_DEVICE float largest4(Float4 v) {
  return fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
}
MKM_DEVICE Float4 scaled(Float4 v, float factor) {
  return {v.x * factor, v.y * factor, v.z * factor, v.w * factor};
}

/// Row `row` of `out`, [rows][width] of T, by one block: value(i) are its elements i .. i + 3. A T
/// that has scales gets the row's; `scratch` as block_sum's.
template <typename T, typename Value>
MKM_DEVICE void write_row(void* out, float* scales, int row, int width, Ptr<float> scratch,
                          const Value& value) {
  const Ptr<T> target = global(static_cast<T*>(out)) + static_cast<ptrdiff_t>(row) * width;
  const int step = 4 * static_cast<int>(block_threads());
  float inverse = 1;
  if constexpr (sizeof(T) == 1) {
    float largest = 0;
    for (int i = 4 * thread_x(); i < width; i += step) largest = fmaxf(largest, largest4(value(i)));
    largest = block_max(largest, scratch);
    inverse = largest > 0 ? Largest<T>::kValue / largest : 0.0f;
    if (thread_x() == 0) global(scales)[row] = largest / Largest<T>::kValue;
  }
  for (int i = 4 * thread_x(); i < width; i += step) {
    store4(target + i, sizeof(T) == 1 ? scaled(value(i), inverse) : value(i));
  }
}

/// Calls body.template operator()<T>() for the type of `element`.
template <typename Body>
int with_element(Element element, const Body& body) {
  switch (element) {
    case Element::kF32:
      return body.template operator()<float>();
    case Element::kF16:
      return body.template operator()<Half>();
    case Element::kBF16:
      return body.template operator()<BFloat16>();
    case Element::kInt8:
      return body.template operator()<int8_t>();
    default:
      return body.template operator()<Fp8>();
  }
}

}  // namespace mokume::cuda::MKM_TARGET
