// The pages of one sequence, in order of position.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kvcache/page_pool.h"

namespace mokume {

/// Page pages()[i] holds positions [i * page_tokens, (i + 1) * page_tokens). Gives its pages back
/// when destroyed; the pool outlives it. Not thread-safe.
class BlockTable {
 public:
  /// page_tokens > 0.
  BlockTable(PagePool& pool, int page_tokens) : pool_(&pool), page_tokens_(page_tokens) {}
  ~BlockTable() { release(); }
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;

  /// Takes pages until positions [0, positions) have one. False, and nothing is taken, when the
  /// pool has too few.
  bool grow(int positions);
  /// Gives every page back.
  void release();

  std::span<const int32_t> pages() const { return pages_; }
  int page_count() const { return static_cast<int>(pages_.size()); }
  /// Positions that have a page.
  int capacity() const { return page_count() * page_tokens_; }

 private:
  PagePool* pool_;
  int page_tokens_;
  std::vector<int32_t> pages_;
};

}  // namespace mokume
