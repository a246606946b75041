// Random numbers by their place alone: any part of a stream can be made at any time, on any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace mokume {

/// The bits of `x`, stirred (the finalizer of SplitMix64; Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
constexpr uint64_t stir(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// A stream of 64-bit words.
class RandomWords {
 public:
  /// Another name is another stream.
  RandomWords(uint64_t seed, std::string_view name) : key_(stir(seed + kStep)) {
    for (const char c : name) key_ = stir(key_ + static_cast<unsigned char>(c) + kStep);
  }

  uint64_t operator[](uint64_t index) const { return stir(key_ + index * kStep); }
  /// In (0, 1).
  double uniform(uint64_t index) const {
    return (static_cast<double>((*this)[index] >> 12) + 0.5) * 0x1p-52;
  }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15u;  // 2^64 over the golden ratio
  uint64_t key_;
};

}  // namespace mokume
