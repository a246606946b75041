// What a GPU would pay for a kernel's accesses: counted, not timed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mokume::simt {

inline constexpr int kLanes = 32;
inline constexpr int kSectorBytes = 32;

struct Counters {
  uint64_t launches = 0;
  uint64_t blocks = 0;
  uint64_t read_bytes = 0;     ///< of the device's memory, in sectors that the L2 did not hold
  uint64_t written_bytes = 0;  ///< in sectors, once for as long as the L2 holds them
  uint64_t sectors = 0;        ///< that warps asked the L2 for
  uint64_t used_bytes = 0;     ///< distinct bytes that they wanted of those
  uint64_t shared_phases = 0;  ///< passes of shared memory without any bank conflict
  uint64_t shared_ways = 0;    ///< passes that it takes
  uint64_t block_barriers = 0;
  uint64_t warp_collectives = 0;
  uint64_t shared_bytes = 0;   ///< most of a block
  uint64_t watched_bytes = 0;  ///< read and written bytes that lie where L2::watch() said

  /// Bytes wanted over bytes fetched from the L2; 1 when nothing was.
  double sector_efficiency() const;
  /// Passes over passes without conflicts, 1 when there were none.
  double bank_ways() const;
  void add(const Counters& other);
};

/// Stands for a GPU's second-level cache: 4 MiB (the smallest of the GPUs that mokume is built for
/// has 4 to 6), 16 ways, sectors of 32 bytes, the least recently used goes first.
class L2 {
 public:
  L2();
  void clear();
  void watch(uint64_t first_sector, uint64_t end_sector);
  void read(uint64_t sector, Counters& counters);
  void write(uint64_t sector, Counters& counters);

 private:
  static constexpr int kWays = 16;
  static constexpr uint64_t kSets = (uint64_t{4} << 20) / kSectorBytes / kWays;
  struct Line {
    uint64_t tag = 0;  // sector + 1; 0: empty
    bool dirty = false;
  };
  /// The sector's line, now the set's first, and whether it was there.
  std::pair<Line*, bool> touch(uint64_t sector);
  void count_watched(uint64_t sector, Counters& counters) const {
    if (sector >= watched_ && sector < watched_end_) counters.watched_bytes += kSectorBytes;
  }
  std::vector<Line> lines_;
  uint64_t watched_ = 0, watched_end_ = 0;
};

struct Access {
  const void* site = nullptr;  ///< where in the code
  uint64_t address = 0;        ///< or offset in shared memory
  uint32_t bytes = 0;
  bool write = false;
  bool shared = false;
};

/// The accesses of one warp since its last collective. Its lanes run one after the other; the k-th
/// access of each lane at one site together are one request of the warp. Where lanes diverge they
/// are merged all the same, so that counts are a lower bound there.
class WarpTrace {
 public:
  WarpTrace();
  void add(int lane, const Access& access);
  void flush(L2& l2, Counters& counters);

 private:
  struct Site {
    Access first;
    std::array<uint32_t, kLanes> visits{};
    std::vector<uint64_t> addresses;  // [visit][lane], kAbsent where a lane was not there
  };
  static constexpr uint64_t kAbsent = ~uint64_t{0};
  static constexpr int kSlots = 1024;  // a power of two, more than twice the sites of any kernel

  Site& find(const Access& access);
  std::vector<Site> sites_;
  size_t used_ = 0;
  std::vector<uint16_t> slots_;  // index + 1 in sites_, by the site's hash
};

}  // namespace mokume::simt
