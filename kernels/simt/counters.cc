#include "kernels/simt/counters.h"

#include <algorithm>

namespace mokume::simt {
namespace {

constexpr int kBanks = 32;
constexpr int kBankBytes = 4;

// Sectors and distinct bytes of one request in global memory.
void count_global(const uint64_t* addresses, int count, const Access& access, L2& l2,
                  Counters& counters) {
  std::array<uint64_t, kLanes> sorted;
  std::copy(addresses, addresses + count, sorted.begin());
  std::sort(sorted.begin(), sorted.begin() + count);
  uint64_t end = 0;  // of the bytes counted so far
  uint64_t next_sector = 0;
  for (int i = 0; i < count; ++i) {
    const uint64_t first = sorted[i], last = first + access.bytes;
    counters.used_bytes += last > end ? last - std::max(first, end) : 0;
    end = std::max(end, last);
    uint64_t sector = std::max(first / kSectorBytes, next_sector);
    for (; sector * kSectorBytes < last; ++sector) {
      ++counters.sectors;
      access.write ? l2.write(sector, counters) : l2.read(sector, counters);
    }
    next_sector = std::max(next_sector, sector);
  }
}

// Accesses of 8 and 16 bytes take two and four phases, each of so many lanes that they fill the
// banks once.
void count_shared(const uint64_t* addresses, int count, const Access& access, Counters& counters) {
  const int words = std::max(1, static_cast<int>(access.bytes) / kBankBytes);
  const int lanes = kLanes / words;
  for (int begin = 0; begin < count; begin += lanes) {
    const int end = std::min(count, begin + lanes);
    std::array<std::array<uint64_t, kLanes>, kBanks> seen;
    std::array<int, kBanks> distinct{};
    for (int i = begin; i < end; ++i) {
      for (int w = 0; w < words; ++w) {
        const uint64_t word = addresses[i] / kBankBytes + w;
        auto& bank = seen[word % kBanks];
        int& n = distinct[word % kBanks];
        if (std::find(bank.begin(), bank.begin() + n, word) == bank.begin() + n) bank[n++] = word;
      }
    }
    ++counters.shared_phases;
    counters.shared_ways += *std::max_element(distinct.begin(), distinct.end());
  }
}

}  // namespace

double Counters::sector_efficiency() const {
  return sectors ? static_cast<double>(used_bytes) / static_cast<double>(sectors * kSectorBytes)
                 : 1;
}

double Counters::bank_ways() const {
  return shared_phases ? static_cast<double>(shared_ways) / static_cast<double>(shared_phases) : 1;
}

void Counters::add(const Counters& other) {
  launches += other.launches;
  blocks += other.blocks;
  read_bytes += other.read_bytes;
  written_bytes += other.written_bytes;
  sectors += other.sectors;
  used_bytes += other.used_bytes;
  shared_phases += other.shared_phases;
  shared_ways += other.shared_ways;
  block_barriers += other.block_barriers;
  warp_collectives += other.warp_collectives;
  shared_bytes = std::max(shared_bytes, other.shared_bytes);
  watched_bytes += other.watched_bytes;
}

L2::L2() : lines_(kSets * kWays) {}

void L2::clear() { std::fill(lines_.begin(), lines_.end(), Line{}); }

std::pair<L2::Line*, bool> L2::touch(uint64_t sector) {
  // Rows of a power of two bytes would meet in few sets.
  const uint64_t set = (sector ^ (sector / kSets) ^ (sector / kSets / kSets)) % kSets;
  Line* const ways = &lines_[set * kWays];
  int at = 0;
  while (at < kWays && ways[at].tag != sector + 1) ++at;
  const bool hit = at < kWays;
  Line line = hit ? ways[at] : Line{sector + 1, false};
  std::copy_backward(ways, ways + (hit ? at : kWays - 1), ways + (hit ? at + 1 : kWays));
  ways[0] = line;
  return {ways, hit};
}

void L2::watch(uint64_t first_sector, uint64_t end_sector) {
  watched_ = first_sector;
  watched_end_ = end_sector;
}

void L2::read(uint64_t sector, Counters& counters) {
  if (touch(sector).second) return;
  counters.read_bytes += kSectorBytes;
  count_watched(sector, counters);
}

void L2::write(uint64_t sector, Counters& counters) {
  Line& line = *touch(sector).first;
  if (!line.dirty) {
    counters.written_bytes += kSectorBytes;
    count_watched(sector, counters);
  }
  line.dirty = true;
}

WarpTrace::WarpTrace() : slots_(kSlots) {}

WarpTrace::Site& WarpTrace::find(const Access& access) {
  size_t slot = (reinterpret_cast<uintptr_t>(access.site) * 0x9e3779b97f4a7c15u) >> 54;
  while (slots_[slot]) {
    Site& site = sites_[slots_[slot] - 1];
    if (site.first.site == access.site && site.first.bytes == access.bytes) return site;
    slot = (slot + 1) % kSlots;
  }
  if (used_ + 1 >= kSlots / 2) return sites_[0];  // no kernel of ours has so many
  if (used_ == sites_.size()) sites_.emplace_back();
  Site& site = sites_[used_++];
  slots_[slot] = static_cast<uint16_t>(used_);
  site.first = access;
  site.visits.fill(0);
  site.addresses.clear();
  return site;
}

void WarpTrace::add(int lane, const Access& access) {
  Site& site = find(access);
  const size_t visit = site.visits[lane]++;
  if (site.addresses.size() < (visit + 1) * kLanes) {
    site.addresses.resize((visit + 1) * kLanes, kAbsent);
  }
  site.addresses[visit * kLanes + lane] = access.address;
}

void WarpTrace::flush(L2& l2, Counters& counters) {
  std::array<uint64_t, kLanes> present;
  for (size_t s = 0; s < used_; ++s) {
    const Site& site = sites_[s];
    for (size_t at = 0; at < site.addresses.size(); at += kLanes) {
      const uint64_t* row = &site.addresses[at];
      const auto end = std::copy_if(row, row + kLanes, present.begin(),
                                    [](uint64_t address) { return address != kAbsent; });
      const int count = static_cast<int>(end - present.begin());
      if (site.first.shared) {
        count_shared(present.data(), count, site.first, counters);
      } else {
        count_global(present.data(), count, site.first, l2, counters);
      }
    }
  }
  if (used_) std::fill(slots_.begin(), slots_.end(), 0);
  used_ = 0;
}

}  // namespace mokume::simt
