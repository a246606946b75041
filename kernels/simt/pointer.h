// A pointer whose every access is checked and counted: what the CUDA kernels' sources see in place
// of T*.
#pragma once

#include <cstddef>
#include <type_traits>

#include "kernels/simt/thread.h"

namespace mokume::simt {

/// What p[i] and *p are: reads where it is converted to T, writes where it is assigned.
template <typename T>
class Reference {
 public:
  using Value = std::remove_const_t<T>;

  Reference(T* address, const Region* region) : address_(address), region_(region) {}
  Reference(const Reference&) = default;

  [[gnu::always_inline]] operator Value() const {  // NOLINT: reading is what it is for
    on_read(region_, address_, sizeof(T));
    return *address_;
  }
  [[gnu::always_inline]] void operator=(Value value) const requires(!std::is_const_v<T>) {
    on_write(region_, address_, sizeof(T));
    *address_ = value;
  }
  [[gnu::always_inline]] void operator=(const Reference& other) const { *this = Value(other); }
  [[gnu::always_inline]] void operator+=(Value value) const {
    *this = static_cast<Value>(Value(*this) + value);
  }
  [[gnu::always_inline]] void operator*=(Value value) const {
    *this = static_cast<Value>(Value(*this) * value);
  }

 private:
  T* address_;
  const Region* region_;
};

template <typename T>
class Pointer {
 public:
  Pointer() = default;
  Pointer(std::nullptr_t) {}  // NOLINT: as T* does
  Pointer(T* address, const Region* region) : address_(address), region_(region) {}
  template <typename U>
  requires(std::is_same_v<const U, T> && !std::is_const_v<U>)
      Pointer(const Pointer<U>& other)  // NOLINT: as T* does
      : address_(other.address()), region_(other.region()) {}

  Reference<T> operator[](ptrdiff_t i) const { return {address_ + i, region_}; }
  Reference<T> operator*() const { return {address_, region_}; }
  Pointer operator+(ptrdiff_t i) const { return {address_ + i, region_}; }
  Pointer operator-(ptrdiff_t i) const { return {address_ - i, region_}; }
  Pointer& operator+=(ptrdiff_t i) {
    address_ += i;
    return *this;
  }
  ptrdiff_t operator-(const Pointer& other) const { return address_ - other.address_; }
  explicit operator bool() const { return address_ != nullptr; }
  bool operator==(const Pointer& other) const { return address_ == other.address_; }

  T* address() const { return address_; }
  const Region* region() const { return region_; }

 private:
  T* address_ = nullptr;
  const Region* region_ = nullptr;
};

}  // namespace mokume::simt
