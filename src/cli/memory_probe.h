// How fast memory can be read, as a yardstick for decoding, which reads every weight a token.
#pragma once

#include <cstdint>
#include <vector>

namespace mokume {

/// Holds a buffer far larger than caches.
class MemoryProbe {
 public:
  static constexpr uint64_t kBufferBytes = uint64_t{512} << 20;

  explicit MemoryProbe(int threads);

  /// Bytes a second that the threads read together: each goes through its own part of the buffer
  /// from front to back, again and again, for about `seconds`.
  double read_bytes_per_second(double seconds);

 private:
  const int threads_;
  std::vector<uint64_t> words_;
  uint64_t sum_ = 0;  ///< so that nothing is optimized away
};

}  // namespace mokume
