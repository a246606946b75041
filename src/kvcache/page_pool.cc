#include "kvcache/page_pool.h"

#include <cassert>

namespace mokume {

PagePool::PagePool(int pages) : references_(pages, 0) {
  free_.reserve(pages);
  for (int32_t page = pages - 1; page >= 0; --page) free_.push_back(page);
}

std::optional<int32_t> PagePool::take() {
  if (free_.empty()) return std::nullopt;
  const int32_t page = free_.back();
  free_.pop_back();
  references_[page] = 1;
  return page;
}

void PagePool::add_reference(int32_t page) {
  assert(references_[page] > 0);
  ++references_[page];
}

void PagePool::release(int32_t page) {
  assert(references_[page] > 0);
  if (--references_[page] == 0) free_.push_back(page);
}

Status PagePool::check() const {
  std::vector<bool> is_free(references_.size(), false);
  for (const int32_t page : free_) {
    if (page < 0 || page >= total())
      return internal_error("kvcache", "free page ", page, " is no page");
    if (is_free[page]) return internal_error("kvcache", "page ", page, " is free twice");
    is_free[page] = true;
  }
  for (int32_t page = 0; page < total(); ++page) {
    if (is_free[page] != (references_[page] == 0)) {
      return internal_error("kvcache", "page ", page, " has ", references_[page],
                            " holders and is ", is_free[page] ? "free" : "not free");
    }
  }
  return {};
}

}  // namespace mokume
