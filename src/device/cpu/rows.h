// What the parts of a CPU stage's step share.
#pragma once

#include <cstdint>
#include <cstring>

namespace mokume {

/// Rows of a piece of row-wise work in steps of many tokens.
inline constexpr int kRowGrain = 4;

/// Does nothing without a bias.
inline void add_bias(float* row, const float* bias, int columns) {
  if (!bias) return;
  for (int i = 0; i < columns; ++i) row[i] += bias[i];
}

/// Copies floats that another thread may write or read meanwhile; what is got then is a mix.
inline void copy_shared(const float* from, float* to, int count) {
  typedef uint64_t Pair __attribute__((may_alias));
  int i = 0;
  if ((reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to)) % sizeof(Pair) == 0) {
    for (; i + 2 <= count; i += 2) {
      const Pair pair = __atomic_load_n(reinterpret_cast<const Pair*>(from + i), __ATOMIC_RELAXED);
      __atomic_store_n(reinterpret_cast<Pair*>(to + i), pair, __ATOMIC_RELAXED);
    }
  }
  typedef uint32_t Word __attribute__((may_alias));
  for (; i < count; ++i) {
    const Word word = __atomic_load_n(reinterpret_cast<const Word*>(from + i), __ATOMIC_RELAXED);
    __atomic_store_n(reinterpret_cast<Word*>(to + i), word, __ATOMIC_RELAXED);
  }
}

inline void copy_row(bool shared, const float* from, float* to, int count) {
  if (shared) return copy_shared(from, to, count);
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

/// `from`; or, where other threads may write it meanwhile, a copy of it in `own`.
inline const float* read_row(bool shared, const float* from, float* own, int count) {
  if (!shared) return from;
  copy_shared(from, own, count);
  return own;
}

}  // namespace mokume
