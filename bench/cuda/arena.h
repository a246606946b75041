// Memory for the executor, filled with zeros: what kernels move does not depend on what it holds.
#pragma once

#include <cstring>
#include <new>
#include <vector>

#include "kernels/simt/memory.h"

namespace mokume::bench {

class Arena {
 public:
  explicit Arena(simt::Memory& memory) : memory_(memory) {}

  template <typename T>
  T* zeros(size_t count) {
    void* const pointer = memory_.allocate(count * sizeof(T));
    if (!pointer) throw std::bad_alloc();
    return static_cast<T*>(pointer);
  }
  template <typename T>
  T* put(const std::vector<T>& values) {
    T* const pointer = zeros<T>(values.size());
    std::memcpy(pointer, values.data(), values.size() * sizeof(T));
    return pointer;
  }

 private:
  simt::Memory& memory_;
};

}  // namespace mokume::bench
