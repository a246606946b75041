// Tensors of the right shape out of any checkpoint.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/hf_quantization.h"
#include "model/model_spec.h"
#include "weights/weight_source.h"

namespace mokume {

/// Looks tensors up for one model. Errors name tensor and file. Borrows the source.
class TensorReader {
 public:
  /// `architecture` is for messages: "llama". With `quantization`, linear layers are stored as
  /// that says; it is borrowed and may be null.
  TensorReader(const WeightSource& source, std::string architecture,
               const HfQuantization* quantization = nullptr)
      : source_(source), architecture_(std::move(architecture)), quantization_(quantization) {}

  const std::string& architecture() const { return architecture_; }
  const std::string& path() const { return source_.path(); }
  bool has_tensor(std::string_view name) const { return source_.contains(name); }

  /// A tensor as it is; InvalidArgument when it has not got this many dimensions.
  Result<TensorView> tensor_of_rank(std::string_view name, int rank) const;
  /// A tensor of exactly this shape; any type that means something by itself.
  Result<TensorView> tensor(std::string_view name, std::initializer_list<int64_t> shape);
  /// F32 of exactly this shape. F16, BF16 and what does not lie at a multiple of 4 bytes is copied,
  /// exactly; the copies belong to converted().
  Result<TensorView> floats(std::string_view name, std::initializer_list<int64_t> shape);
  /// floats() of [size].
  Result<TensorView> vector(std::string_view name, int64_t size) { return floats(name, {size}); }
  /// F32 [size], every value as `map` makes it.
  Result<TensorView> mapped_vector(std::string_view name, int64_t size,
                                   const std::function<float(float)>& map);
  /// "<name>.weight" [outputs, inputs] with "<name>.bias" [outputs] if there is one, and for
  /// NVFP4 "<name>.scale" [1]; or what the checkpoint's quantization has in their place.
  Result<Linear> linear(std::string_view name, int64_t outputs, int64_t inputs);
  /// "<name>.weight" [size]; `zero_centred` when the checkpoint holds the weight less 1.
  Result<RmsNorm> norm(std::string_view name, int64_t size, double epsilon,
                       bool zero_centred = false);

  /// A tensor of any shape and type.
  Result<TensorView> stored(std::string_view name);
  /// The numbers of an I64.
  Result<std::vector<int64_t>> integers(std::string_view name);
  /// F32 [rows] from [rows], [rows, 1] or a single number for all rows; finite and positive.
  Result<TensorView> row_scales(std::string_view name, int64_t rows);
  /// The value of a [1], finite and positive.
  Result<float> tensor_scale(std::string_view name);

  /// Says that nobody needs this tensor; it may be there or not.
  void ignore(std::string_view name) { used_.emplace(name); }
  /// The same for all whose names start with `prefix`; how many there are.
  int ignore_all(std::string_view prefix);
  /// An error when the checkpoint has a tensor that nobody has asked for: leaving one out would
  /// compute another model.
  Status check_all_used() const;

  /// What floats() and row_scales() had to copy and mapped_vector() made; the views point into it.
  ConvertedTensors converted() const { return converted_; }

  /// InvalidArgument "[model] ... (file)".
  template <typename... Args>
  Status error(const Args&... args) const {
    return invalid_argument("model", args..., " (", source_.path(), ")");
  }

 private:
  /// A tensor of exactly this shape that is F32, F16 or BF16.
  Result<TensorView> stored_floats(std::string_view name, std::initializer_list<int64_t> shape);
  /// Copies the elements as float32 into converted(); `view` then describes the copy.
  std::span<float> convert(TensorView& view);
  /// Puts F32 values into converted(); `view` then points to them.
  std::span<float> hold(std::vector<float> values, TensorView& view);
  /// linear() of a layer that no quantization covers, without the bias.
  Result<Linear> plain_linear(std::string_view name, int64_t outputs, int64_t inputs);

  const WeightSource& source_;
  const std::string architecture_;
  const HfQuantization* const quantization_;
  std::set<std::string, std::less<>> used_;
  ConvertedTensors converted_;
};

}  // namespace mokume
