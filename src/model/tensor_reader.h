// Tensors of the right shape out of any checkpoint.
#pragma once

#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/model_spec.h"
#include "weights/weight_source.h"

namespace mokume {

/// Looks tensors up for one model. Errors name tensor and file. Borrows the source.
class TensorReader {
 public:
  /// `architecture` is for messages: "llama".
  TensorReader(const WeightSource& source, std::string architecture)
      : source_(source), architecture_(std::move(architecture)) {}

  const std::string& architecture() const { return architecture_; }
  bool has_tensor(std::string_view name) const { return source_.contains(name); }

  /// A tensor as it is; InvalidArgument when it has not got this many dimensions.
  Result<TensorView> tensor_of_rank(std::string_view name, int rank) const;
  /// A tensor of exactly this shape; any type.
  Result<TensorView> tensor(std::string_view name, std::initializer_list<int64_t> shape);
  /// F32 [size]. F16, BF16 and what does not lie at a multiple of 4 bytes is copied, exactly; the
  /// copies belong to converted().
  Result<TensorView> vector(std::string_view name, int64_t size);
  /// "<name>.weight" [outputs, inputs] with "<name>.bias" [outputs] if there is one, and for
  /// NVFP4 "<name>.scale" [1].
  Result<Linear> linear(std::string_view name, int64_t outputs, int64_t inputs);
  /// "<name>.weight" [size].
  Result<RmsNorm> norm(std::string_view name, int64_t size, double epsilon);

  /// Says that nobody needs this tensor; it may be there or not.
  void ignore(std::string_view name) { used_.emplace(name); }
  /// An error when the checkpoint has a tensor that nobody has asked for: leaving one out would
  /// compute another model.
  Status check_all_used() const;

  /// What vector() had to copy; the views point into it.
  ConvertedTensors converted() const { return converted_; }

  /// InvalidArgument "[model] ... (file)".
  template <typename... Args>
  Status error(const Args&... args) const {
    return invalid_argument("model", args..., " (", source_.path(), ")");
  }

 private:
  /// The value of a [1], finite and positive.
  Result<float> tensor_scale(std::string_view name);

  const WeightSource& source_;
  const std::string architecture_;
  std::set<std::string, std::less<>> used_;
  ConvertedTensors converted_;
};

}  // namespace mokume
