// What the machine's CPUs can do at most: read, as a yardstick for decoding, which reads every
// weight a token; and multiply, as one for prompts.
#pragma once

#include <cstdint>
#include <vector>

namespace mokume {

/// Holds a buffer far larger than caches.
class MachineProbe {
 public:
  static constexpr uint64_t kBufferBytes = uint64_t{512} << 20;

  explicit MachineProbe(int threads);

  /// Bytes a second that the threads read together: each goes through its own part of the buffer
  /// from front to back, again and again, for about `seconds`.
  double read_bytes_per_second(double seconds);

  /// Operations (a multiplication and an addition are two) a second of the threads together in dot
  /// products of int8 on registers, with the best instructions that the machine has, for about
  /// `seconds`. 0 where there is no loop for them (NEON).
  double int8_operations_per_second(double seconds) const;

 private:
  const int threads_;
  std::vector<uint64_t> words_;
  uint64_t sum_ = 0;  ///< so that nothing is optimized away
};

}  // namespace mokume
