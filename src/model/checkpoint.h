// What every family's loader needs: bounded hyperparameters and tensors of the right shape.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/model_spec.h"
#include "weights/gguf.h"

namespace mokume {

/// Reads a GGUF file for one family. Errors name key or tensor and the file. Borrows the file.
class Checkpoint {
 public:
  /// `architecture` is the prefix of the keys: "llama".
  Checkpoint(const GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  const GgufFile& file() const { return file_; }

  /// The key "<architecture>.<name>", within [min, max]; with `fallback`, that where there is no
  /// such key.
  Result<int> integer(std::string_view name, int min, int max,
                      std::optional<int> fallback = std::nullopt) const;
  Result<double> real(std::string_view name, double min, double max,
                      std::optional<double> fallback = std::nullopt) const;
  Result<std::string> text(std::string_view name, std::string_view fallback) const;
  bool has_key(std::string_view name) const { return file_.metadata(key(name)) != nullptr; }
  bool has_tensor(std::string_view name) const { return file_.contains(name); }

  /// A tensor of exactly this shape; any type.
  Result<TensorView> tensor(std::string_view name, std::initializer_list<int64_t> shape);
  /// F32 [size].
  Result<TensorView> vector(std::string_view name, int64_t size);
  /// "<name>.weight" [outputs, inputs] with "<name>.bias" F32 [outputs] if there is one, and for
  /// NVFP4 "<name>.scale" F32 [1].
  Result<Linear> linear(std::string_view name, int64_t outputs, int64_t inputs);
  /// "<name>.weight" F32 [size].
  Result<RmsNorm> norm(std::string_view name, int64_t size, double epsilon);

  /// An error when the file has a tensor that nobody has asked for: leaving one out would compute
  /// another model.
  Status check_all_used() const;

  /// InvalidArgument "[model] ... (file)".
  template <typename... Args>
  Status error(const Args&... args) const {
    return invalid_argument("model", args..., " (", file_.path(), ")");
  }

 private:
  /// The value of an F32 [1], finite and positive.
  Result<float> tensor_scale(std::string_view name);
  std::string key(std::string_view name) const { return str_cat(architecture_, ".", name); }

  const GgufFile& file_;
  const std::string architecture_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace mokume
