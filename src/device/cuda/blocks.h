// Memory of a GPU, and of the host beside it, that gives itself back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "device/cuda/runtime.h"

namespace mokume::cuda {

enum class Place : uint8_t { kDevice, kPinned };

/// The Gpu outlives it.
template <Place place>
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept { swap(other); }
  Block& operator=(Block&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Block() {
    if (!data_) return;
    place == Place::kDevice ? gpu_->free(data_) : gpu_->free_pinned(data_);
  }

  /// 0 bytes make an empty block.
  static Result<Block> allocate(Gpu& gpu, uint64_t bytes) {
    Block block;
    if (bytes == 0) return block;
    MKM_ASSIGN_OR_RETURN(
        block.data_, place == Place::kDevice ? gpu.allocate(bytes) : gpu.allocate_pinned(bytes));
    block.gpu_ = &gpu;
    block.bytes_ = bytes;
    return block;
  }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  uint64_t bytes() const { return bytes_; }

 private:
  void swap(Block& other) {
    std::swap(gpu_, other.gpu_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  Gpu* gpu_ = nullptr;
  void* data_ = nullptr;
  uint64_t bytes_ = 0;
};

using DeviceBlock = Block<Place::kDevice>;
using PinnedBlock = Block<Place::kPinned>;

/// A stream, a graph or a product that gives itself back; the Gpu outlives it.
template <typename Handle>
class Owned {
 public:
  Owned() = default;
  Owned(Gpu& gpu, Handle handle) : gpu_(&gpu), handle_(handle) {}
  Owned(Owned&& other) noexcept { swap(other); }
  Owned& operator=(Owned&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Owned() {
    if (handle_) gpu_->destroy(handle_);
  }

  Handle get() const { return handle_; }

 private:
  void swap(Owned& other) {
    std::swap(gpu_, other.gpu_);
    std::swap(handle_, other.handle_);
  }

  Gpu* gpu_ = nullptr;
  Handle handle_ = nullptr;
};

using OwnedStream = Owned<StreamHandle>;
using OwnedGraph = Owned<GraphHandle>;
using OwnedProduct = Owned<ProductHandle>;

inline Result<OwnedStream> make_stream(Gpu& gpu) {
  MKM_ASSIGN_OR_RETURN(const StreamHandle stream, gpu.make_stream());
  return OwnedStream(gpu, stream);
}

}  // namespace mokume::cuda
