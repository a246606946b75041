// Where a model's tensors come from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/tensor_view.h"

namespace mokume {

/// Name -> tensor. Every offset and size has been checked against the file before a view is handed
/// out; the mapping outlives every view. Immutable after opening, so it may be read from several
/// threads.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// NotFound names the tensor and the file.
  virtual Result<TensorView> tensor(std::string_view name) const = 0;
  virtual bool contains(std::string_view name) const = 0;
  virtual std::vector<std::string> names() const = 0;
  /// The numbers of a tensor of 64-bit integers, at most 16 (a shape that is stored beside packed
  /// weights); NotFound, or InvalidArgument for any other type or size.
  virtual Result<std::vector<int64_t>> integers(std::string_view name) const {
    return invalid_argument("weights", "tensor ", name, " holds no 64-bit integers (", path(), ")");
  }
  /// Tells the kernel that the pages of `tensor` are no longer wanted (after a device repacked
  /// them).
  virtual void release(const TensorView& tensor) const = 0;
  /// The file, for messages.
  virtual const std::string& path() const = 0;
};

}  // namespace mokume
