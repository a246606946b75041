// portable.cuh's names under a host compiler: kernels/simt does the work.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/common/half.h"
#include "kernels/simt/pointer.h"

#define MKM_TARGET host
#define MKM_KERNEL(threads) static void
#define MKM_KERNEL_BLOCKS(threads, blocks) static void
#define MKM_DEVICE [[gnu::always_inline]] inline
// The tag is one for each place in the code (and each instance of a template).
#define MKM_SHARED(T, name, count)                                                   \
  static const char name##_tag = 0;                                                  \
  const ::mokume::cuda::host::Ptr<T> name = ::mokume::cuda::host::shared_pointer<T>( \
      ::mokume::simt::shared_array(&name##_tag, sizeof(T) * static_cast<size_t>(count)))
#define MKM_DYNAMIC_SHARED(name)                  \
  const ::mokume::cuda::host::Ptr<uint8_t> name = \
      ::mokume::cuda::host::shared_pointer<uint8_t>(::mokume::simt::dynamic_shared())

namespace mokume::cuda::host {

template <typename T>
using Ptr = simt::Pointer<T>;

template <typename T>
MKM_DEVICE Ptr<T> shared_pointer(const simt::Region* region) {
  return {reinterpret_cast<T*>(region->base), region};
}
template <typename T>
MKM_DEVICE Ptr<T> global(T* pointer) {
  return {pointer, simt::find_region(pointer)};
}
template <typename U, typename T>
MKM_DEVICE Ptr<U> cast(Ptr<T> pointer) {
  return {reinterpret_cast<U*>(pointer.address()), pointer.region()};
}

template <typename V, typename T>
MKM_DEVICE V load(Ptr<T> pointer) {
  simt::on_read(pointer.region(), pointer.address(), sizeof(V));
  V value;
  std::memcpy(&value, pointer.address(), sizeof(V));
  return value;
}
template <typename V, typename T>
MKM_DEVICE V load_once(Ptr<T> pointer) {
  return load<V>(pointer);
}
template <typename V, typename T>
MKM_DEVICE void store(Ptr<T> pointer, V value) {
  simt::on_write(pointer.region(), pointer.address(), sizeof(V));
  std::memcpy(pointer.address(), &value, sizeof(V));
}

MKM_DEVICE unsigned thread_x() { return simt::current_index->thread; }
MKM_DEVICE unsigned block_threads() { return simt::current_index->threads; }
MKM_DEVICE unsigned block_x() { return simt::current_index->block.x; }
MKM_DEVICE unsigned block_y() { return simt::current_index->block.y; }
MKM_DEVICE unsigned block_z() { return simt::current_index->block.z; }
MKM_DEVICE unsigned grid_x() { return simt::current_index->grid.x; }
MKM_DEVICE unsigned grid_y() { return simt::current_index->grid.y; }
MKM_DEVICE unsigned grid_z() { return simt::current_index->grid.z; }

MKM_DEVICE void sync_block(int line = __builtin_LINE()) { simt::block_barrier(line); }
MKM_DEVICE void sync_warp(int line = __builtin_LINE()) { simt::warp_barrier(line); }
template <typename T>
MKM_DEVICE T shuffle(T value, int lane, int line = __builtin_LINE()) {
  const simt::Payload* all = simt::exchange(&value, sizeof(T), line);
  std::memcpy(&value, all[lane & (kWarp - 1)].bytes, sizeof(T));
  return value;
}
template <typename T>
MKM_DEVICE T shuffle_xor(T value, int mask, int line = __builtin_LINE()) {
  return shuffle(value, static_cast<int>(thread_x() % kWarp) ^ mask, line);
}
MKM_DEVICE uint32_t warp_max_bits(uint32_t value, int line = __builtin_LINE()) {
  const simt::Payload* all = simt::exchange(&value, sizeof(value), line);
  for (int i = 0; i < kWarp; ++i) {
    value = std::max(value, *reinterpret_cast<const uint32_t*>(all[i].bytes));
  }
  return value;
}
MKM_DEVICE unsigned ballot(bool predicate, int line = __builtin_LINE()) {
  const simt::Payload* all = simt::exchange(&predicate, sizeof(predicate), line);
  unsigned votes = 0;
  for (int i = 0; i < kWarp; ++i) votes |= (all[i].bytes[0] ? 1u : 0u) << i;
  return votes;
}

template <typename T>
MKM_DEVICE T atomic_add(Ptr<T> pointer, T value) {
  simt::on_atomic(pointer.region(), pointer.address(), sizeof(T));
  const T before = *pointer.address();
  *pointer.address() = before + value;
  return before;
}
MKM_DEVICE void thread_fence() {}

MKM_DEVICE void wait_for_previous() { simt::previous_ended(); }
MKM_DEVICE void allow_next() {}

MKM_DEVICE float madd(float a, float b, float c) { return a * b + c; }
MKM_DEVICE float inverse_sqrt(float x) { return 1.0f / std::sqrt(x); }
MKM_DEVICE float half_bits_to_float(uint16_t bits) { return kernels::half_to_float(bits); }
MKM_DEVICE uint16_t float_to_half_bits(float x) { return kernels::float_to_half(x); }
MKM_DEVICE void half_pair(uint32_t bits, float& low, float& high) {
  low = half_bits_to_float(static_cast<uint16_t>(bits));
  high = half_bits_to_float(static_cast<uint16_t>(bits >> 16));
}
MKM_DEVICE uint32_t pick_bytes(uint32_t low, uint32_t high, uint32_t selector) {
  const uint64_t both = (static_cast<uint64_t>(high) << 32) | low;
  uint32_t picked = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned byte = (selector >> (4 * i)) & 7;
    picked |= static_cast<uint32_t>((both >> (8 * byte)) & 0xff) << (8 * i);
  }
  return picked;
}
MKM_DEVICE int count_bits(uint32_t bits) { return std::popcount(bits); }
MKM_DEVICE float bits_to_float(uint32_t bits) { return std::bit_cast<float>(bits); }
MKM_DEVICE uint32_t float_to_bits(float x) { return std::bit_cast<uint32_t>(x); }
MKM_DEVICE uint32_t pack_half(float low, float high) {
  return float_to_half_bits(low) | (static_cast<uint32_t>(float_to_half_bits(high)) << 16);
}
/// Products of two halves are exact in float32, sums of them and another in double.
MKM_DEVICE uint32_t madd_half(uint32_t a, uint32_t b, uint32_t c) {
  const auto one = [&](int shift) {
    const auto value = [&](uint32_t word) {
      return double{half_bits_to_float(static_cast<uint16_t>(word >> shift))};
    };
    return static_cast<float>(value(a) * value(b) + value(c));
  };
  return pack_half(one(0), one(16));
}
MKM_DEVICE uint32_t multiply_half(uint32_t a, uint32_t b) { return madd_half(a, b, 0x80008000u); }
MKM_DEVICE uint32_t add_half(uint32_t a, uint32_t b) { return madd_half(a, 0x3c003c00u, b); }

template <typename T, typename U>
MKM_DEVICE void copy16_async(Ptr<T> shared, Ptr<U> from) {
  simt::copy_async(shared.region(), shared.address(), from.region(), from.address(), 16);
}
MKM_DEVICE void commit_copies() { simt::commit_copies(); }
template <int kLeft>
MKM_DEVICE void wait_copies() {
  simt::wait_copies(kLeft);
}

/// The operands of one lane, decoded.
template <typename T, int kWordElements>
struct MmaOperands {
  T a[4 * kWordElements], b[2 * kWordElements];
};

/// d += a b with kWordElements elements in a word: see portable_gpu.cuh for which lane holds what.
template <int kWordElements, typename T, typename Decode>
MKM_DEVICE void mma(T (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], int line,
                    const Decode& decode) {
  using Operands = MmaOperands<T, kWordElements>;
  Operands mine;
  for (int i = 0; i < 6; ++i) {
    for (int e = 0; e < kWordElements; ++e) {
      const int shift = 32 / kWordElements * e;
      const T value = decode((i < 4 ? a[i] : b[i - 4]) >> shift);
      (i < 4 ? mine.a[i * kWordElements + e] : mine.b[(i - 4) * kWordElements + e]) = value;
    }
  }
  const simt::Payload* all = simt::exchange(&mine, sizeof(mine), line);
  const auto operands = [&](int lane) {
    return reinterpret_cast<const Operands*>(all[lane].bytes);
  };
  const int g = static_cast<int>(thread_x() % kWarp) / 4, t = static_cast<int>(thread_x() % 4);
  for (int i = 0; i < 4; ++i) {
    const int column = 2 * t + i % 2, upper = i / 2;
    for (int half = 0; half < 2; ++half) {
      for (int word = 0; word < 4; ++word) {
        const T* const left = operands(4 * g + word)->a + (2 * half + upper) * kWordElements;
        const T* const right = operands(4 * column + word)->b + half * kWordElements;
        for (int e = 0; e < kWordElements; ++e) d[i] += left[e] * right[e];
      }
    }
  }
}
MKM_DEVICE void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                        int line = __builtin_LINE()) {
  mma<2>(d, a, b, line,
         [](uint32_t w) { return kernels::half_to_float(static_cast<uint16_t>(w)); });
}
MKM_DEVICE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         int line = __builtin_LINE()) {
  mma<2>(d, a, b, line, [](uint32_t w) { return std::bit_cast<float>(w << 16); });
}
struct Nvfp4Operands {
  uint32_t a[4], b[2], a_scales, b_scales;
};
MKM_DEVICE void mma_nvfp4(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                          uint32_t a_scales, uint32_t b_scales, int line = __builtin_LINE()) {
  static constexpr float kE2m1[16] = {0,  .5f,  1,  1.5f,  2,  3,  4,  6,
                                      -0, -.5f, -1, -1.5f, -2, -3, -4, -6};
  const Nvfp4Operands mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, a_scales, b_scales};
  const simt::Payload* all = simt::exchange(&mine, sizeof(mine), line);
  const auto of = [&](int lane) { return reinterpret_cast<const Nvfp4Operands*>(all[lane].bytes); };
  const auto scale = [](uint32_t scales, int block) {  // E4M3 is a half without its last 7 bits
    const uint32_t bits = (scales >> (8 * block)) & 0x7fu;
    return half_bits_to_float(static_cast<uint16_t>(bits << 7)) * 256.0f;
  };
  const int g = static_cast<int>(thread_x() % kWarp) / 4, t = static_cast<int>(thread_x() % 4);
  for (int i = 0; i < 4; ++i) {
    const int column = 4 * (2 * t + i % 2), upper = i / 2;  // the first lane of the column
    for (int word = 0; word < 8; ++word) {
      const int half = word / 4, lane = word % 4, block = word / 2;
      const uint32_t left = of(4 * g + lane)->a[2 * half + upper];
      const uint32_t right = of(column + lane)->b[half];
      float sum = 0;
      for (int shift = 0; shift < 32; shift += 4) {
        sum += kE2m1[(left >> shift) & 15] * kE2m1[(right >> shift) & 15];
      }
      d[i] +=
          sum * (scale(of(4 * g + upper)->a_scales, block) * scale(of(column)->b_scales, block));
    }
  }
}

template <typename... Parameters, typename... Args>
int launch(Stream stream, const char* name, void (*kernel)(Parameters...), Grid grid,
           unsigned threads, size_t shared_bytes, const Args&... args) {
  simt::Launch launch;
  launch.name = name;
  launch.grid = {grid.x, grid.y, grid.z};
  launch.threads = threads;
  launch.shared_bytes = shared_bytes;
  launch.body = [=] { kernel(args...); };
  return static_cast<simt::Queue*>(stream.handle)->submit(launch);
}

}  // namespace mokume::cuda::host
