#include "model/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mokume {
namespace {

std::string to_text(std::initializer_list<int64_t> shape) {
  std::string text;
  for (const int64_t size : shape) text += str_cat(text.empty() ? "[" : ", ", size);
  return text + "]";
}

}  // namespace

Result<int> Checkpoint::integer(std::string_view name, int min, int max,
                                std::optional<int> fallback) const {
  if (fallback && !has_key(name)) return *fallback;
  MKM_ASSIGN_OR_RETURN(const int64_t value, file_.get_int(key(name), min, max));
  return static_cast<int>(value);
}

Result<double> Checkpoint::real(std::string_view name, double min, double max,
                                std::optional<double> fallback) const {
  if (fallback && !has_key(name)) return *fallback;
  return file_.get_float(key(name), min, max);
}

Result<std::string> Checkpoint::text(std::string_view name, std::string_view fallback) const {
  if (!has_key(name)) return std::string(fallback);
  return file_.get_string(key(name));
}

Result<TensorView> Checkpoint::tensor(std::string_view name, std::initializer_list<int64_t> shape) {
  MKM_ASSIGN_OR_RETURN(TensorView view, file_.tensor(name));
  const std::span actual(view.shape.data(), static_cast<size_t>(view.rank));
  if (!std::ranges::equal(actual, shape)) {
    return error("tensor ", name, " is ", to_string(view), "; must be ", to_text(shape));
  }
  used_.emplace(name);
  return view;
}

Result<TensorView> Checkpoint::vector(std::string_view name, int64_t size) {
  MKM_ASSIGN_OR_RETURN(TensorView view, tensor(name, {size}));
  if (view.dtype != DType::kF32) {
    return error("tensor ", name, " is ", to_string(view), "; must be F32");
  }
  return view;
}

Result<Linear> Checkpoint::linear(std::string_view name, int64_t outputs, int64_t inputs) {
  Linear linear;
  MKM_ASSIGN_OR_RETURN(linear.weight, tensor(str_cat(name, ".weight"), {outputs, inputs}));
  const std::string bias = str_cat(name, ".bias");
  if (has_tensor(bias)) {
    MKM_ASSIGN_OR_RETURN(linear.bias, vector(bias, outputs));
  }
  if (linear.weight.dtype != DType::kNVFP4) return linear;
  const std::string scale = str_cat(name, ".scale");
  if (has_tensor(scale)) {
    MKM_ASSIGN_OR_RETURN(linear.scale, tensor_scale(scale));
  }
  // Of the activations, for hardware that multiplies in FP4: checked, but not used.
  const std::string input_scale = str_cat(name, ".input_scale");
  if (has_tensor(input_scale)) MKM_RETURN_IF_ERROR(tensor_scale(input_scale).status());
  return linear;
}

Result<float> Checkpoint::tensor_scale(std::string_view name) {
  MKM_ASSIGN_OR_RETURN(const TensorView view, vector(name, 1));
  float scale;
  std::memcpy(&scale, view.data, sizeof(scale));
  if (std::isfinite(scale) && scale > 0) return scale;
  return error("tensor ", name, " is ", scale, "; must be finite and above 0");
}

Result<RmsNorm> Checkpoint::norm(std::string_view name, int64_t size, double epsilon) {
  RmsNorm norm;
  MKM_ASSIGN_OR_RETURN(norm.weight, vector(str_cat(name, ".weight"), size));
  norm.epsilon = static_cast<float>(epsilon);
  return norm;
}

Status Checkpoint::check_all_used() const {
  for (const std::string& name : file_.names()) {
    if (used_.contains(name)) continue;
    return error("tensor ", name, " has no place in a ", architecture_,
                 " model as mokume knows it");
  }
  return absl::OkStatus();
}

}  // namespace mokume
