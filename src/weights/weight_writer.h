// Where the tensors of a checkpoint are written to: a file or a directory whose whole layout is
// known before the first byte.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/status.h"

namespace mokume {

/// Destroyed before finish() it leaves nothing behind. Tensors may be written in any order, and
/// several at a time; different ones from different threads too.
class WeightWriter {
 public:
  virtual ~WeightWriter() = default;

  /// The next bytes of `tensor`: rows in order, in slices of any size (each is a system call: some
  /// 64 KiB or more are best). NotFound for a tensor that was not listed, InvalidArgument when
  /// there are more bytes than it has, ResourceExhausted when the disk is full.
  virtual Status write(std::string_view tensor, std::span<const std::byte> bytes) = 0;

  /// Checks that every tensor is there in full, brings all to the disk and gives the files their
  /// names. Once, from one thread.
  virtual Status finish() = 0;
};

}  // namespace mokume
