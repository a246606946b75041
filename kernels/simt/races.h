// Races in a block's shared memory: two threads touch a word, one of them writes it, and no barrier
// of the block (or of the warp, when both are of one) lies between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mokume::simt {

class SharedRaces {
 public:
  /// `thread` and `warp_epoch`: who touches, and the barriers that its warp has passed.
  struct Toucher {
    uint16_t thread = 0;
    uint32_t warp_epoch = 0;
    bool atomic = false;
  };

  /// A block begins with `bytes` of shared memory, or its threads have passed a barrier.
  void begin_interval(size_t bytes);
  /// Bytes [offset, offset + bytes): null, or what they collide with ("written by", "read by") and
  /// which thread did that (-1: several).
  const char* touch(size_t offset, size_t bytes, bool write, Toucher toucher, int* other);

 private:
  static constexpr uint16_t kNone = 0xffff, kSeveral = 0xfffe;
  struct Mark {
    uint32_t interval = 0;  // what follows is of this one; otherwise nobody was here
    uint32_t writer_epoch = 0;
    uint32_t reader_epoch = 0;
    uint16_t writer = kNone;
    uint16_t reader = kNone;       // of reader_epoch
    uint16_t reader_warp = kNone;  // of all readers in the interval
    bool atomic = false;           // the writer's
    bool split = false;            // of a word: its bytes have marks of their own
  };
  Mark& current(Mark& mark) const;
  static const char* touch(Mark& mark, bool write, Toucher toucher, int* other);

  uint32_t interval_ = 0;
  std::vector<Mark> words_;  // of 4 bytes
  std::vector<Mark> bytes_;
};

}  // namespace mokume::simt
