// Weights on their way from the checkpoint's mapping to the device.
#pragma once

#include <string_view>

#include "device/cuda/blocks.h"
#include "device/cuda/matrix_rows.h"

namespace mokume::cuda {

/// Converts into one pinned buffer while the other is copied.
class Uploader {
 public:
  static Result<Uploader> create(Gpu& gpu);
  Uploader(Uploader&&) = default;
  ~Uploader();  ///< waits for what is under way

  /// `linear` into the planes of `matrix`. Errors: scales that do not cover the weight or are none,
  /// weights that are NaN (`path`, the file, is for messages); the device's.
  Status matrix(const Linear& linear, const Matrix& matrix, std::string_view path);
  Status bytes(const std::byte* from, uint64_t count, void* to);
  Status zero(void* at, uint64_t count);
  /// Waits for all of it.
  Status finish();

 private:
  struct Lane {
    OwnedStream stream;
    PinnedBlock buffer;
  };

  explicit Uploader(Gpu& gpu) : gpu_(&gpu) {}
  /// The lane whose turn it is, its buffer free.
  Result<Lane*> next_lane();
  Status rows(const Linear& linear, const Matrix& matrix, int first, int count);

  Gpu* gpu_;
  Lane lanes_[2];
  int turn_ = 0;
};

}  // namespace mokume::cuda
