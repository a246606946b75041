#include "kvcache/block_table.h"

#include "base/checked.h"

namespace mokume {

bool BlockTable::grow(int positions) {
  const int64_t wanted = div_up(positions, page_tokens_);
  if (wanted - page_count() > pool_->free()) return false;
  while (page_count() < wanted) pages_.push_back(*pool_->take());
  return true;
}

void BlockTable::release() {
  // Last page first, so that the pool hands them out again in order.
  while (!pages_.empty()) {
    pool_->release(pages_.back());
    pages_.pop_back();
  }
}

}  // namespace mokume
