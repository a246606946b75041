// The pages of the KV cache as bookkeeping: which are free, and how many hold each of the others.
//
// One space of page ids is shared by every stage of a pipeline; each stage has its own memory under
// the same ids.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"

namespace mokume {

/// Not thread-safe. Page ids are [0, total()).
class PagePool {
 public:
  explicit PagePool(int pages);

  /// A free page, with one reference; empty when there is none. The page freed last comes first.
  std::optional<int32_t> take();
  /// One more holder of a page that is in use.
  void add_reference(int32_t page);
  /// One holder fewer; the page is free when it was the last.
  void release(int32_t page);

  int total() const { return static_cast<int>(references_.size()); }
  int free() const { return static_cast<int>(free_.size()); }
  int used() const { return total() - free(); }
  /// Holders of a page; 0 when it is free.
  int references(int32_t page) const { return references_[page]; }

  /// Internal error when the free list and the reference counts disagree. For tests.
  Status check() const;

 private:
  std::vector<int32_t> references_;  // by page
  std::vector<int32_t> free_;
};

}  // namespace mokume
