// What one rendering has used of its limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "tokenizer/jinja/error.h"

namespace mokume::jinja {

class Budget {
 public:
  Budget(int64_t max_steps, size_t max_bytes) : steps_left_(max_steps), max_bytes_(max_bytes) {}

  /// Counts `n` units of work.
  void step(int64_t n = 1) {
    steps_left_ -= n;
    if (steps_left_ < 0) fail_limit("the template ran for more steps than allowed");
  }

  /// Counts the work of going over `bytes` of text once.
  void work(size_t bytes) { step(1 + static_cast<int64_t>(bytes / 32)); }

  /// Fails when `bytes` more could not be charged: asked before something large is allocated.
  void check(size_t bytes) const {
    if (bytes > max_bytes_ - used_) {
      fail_limit("the template's values need more than the ", max_bytes_, " bytes allowed");
    }
  }
  void charge(size_t bytes) {
    check(bytes);
    used_ += bytes;
  }
  void refund(size_t bytes) { used_ -= bytes; }

 private:
  int64_t steps_left_;
  const size_t max_bytes_;
  size_t used_ = 0;  // <= max_bytes_
};

/// Bytes charged to a budget for as long as this lives; the budget outlives it.
class Charge {
 public:
  Charge() = default;
  Charge(Budget& budget, size_t bytes) : budget_(&budget), bytes_(bytes) { budget.charge(bytes); }
  Charge(Charge&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Charge() {
    if (budget_) budget_->refund(bytes_);
  }

  void grow(size_t bytes) {
    if (!budget_) return;
    budget_->charge(bytes);
    bytes_ += bytes;
  }

 private:
  Budget* budget_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace mokume::jinja
