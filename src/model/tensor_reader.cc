#include "model/tensor_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

namespace mokume {
namespace {

std::string to_text(std::initializer_list<int64_t> shape) {
  std::string text;
  for (const int64_t size : shape) text += str_cat(text.empty() ? "[" : ", ", size);
  return text + "]";
}

bool is_float(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

bool is_readable_in_place(const TensorView& view) {
  return view.dtype == DType::kF32 && reinterpret_cast<uintptr_t>(view.data) % alignof(float) == 0;
}

}  // namespace

Result<TensorView> TensorReader::tensor_of_rank(std::string_view name, int rank) const {
  MKM_ASSIGN_OR_RETURN(TensorView view, source_.tensor(name));
  if (view.rank == rank) return view;
  return error("tensor ", name, " is ", to_string(view), "; must have ", rank, " dimensions");
}

Result<TensorView> TensorReader::tensor(std::string_view name,
                                        std::initializer_list<int64_t> shape) {
  MKM_ASSIGN_OR_RETURN(TensorView view, source_.tensor(name));
  const std::span actual(view.shape.data(), static_cast<size_t>(view.rank));
  if (!std::ranges::equal(actual, shape)) {
    return error("tensor ", name, " is ", to_string(view), "; must be ", to_text(shape));
  }
  used_.emplace(name);
  return view;
}

Result<TensorView> TensorReader::stored_floats(std::string_view name,
                                               std::initializer_list<int64_t> shape) {
  MKM_ASSIGN_OR_RETURN(TensorView view, tensor(name, shape));
  if (is_float(view.dtype)) return view;
  return error("tensor ", name, " is ", to_string(view), "; must be F32, F16 or BF16");
}

Result<TensorView> TensorReader::floats(std::string_view name,
                                        std::initializer_list<int64_t> shape) {
  MKM_ASSIGN_OR_RETURN(TensorView view, stored_floats(name, shape));
  if (!is_readable_in_place(view)) convert(view);
  return view;
}

Result<TensorView> TensorReader::mapped_vector(std::string_view name, int64_t size,
                                               const std::function<float(float)>& map) {
  MKM_ASSIGN_OR_RETURN(TensorView view, stored_floats(name, {size}));
  for (float& value : convert(view)) value = map(value);
  return view;
}

std::span<float> TensorReader::convert(TensorView& view) {
  const auto columns = static_cast<size_t>(view.columns());
  auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(view.rows()) * columns);
  const std::span<float> all(*values);
  for (int64_t row = 0; row < view.rows(); ++row) {
    dequantize_row(view, row, all.subspan(static_cast<size_t>(row) * columns, columns));
  }
  view.data = reinterpret_cast<const std::byte*>(all.data());
  view.dtype = DType::kF32;
  view.bytes = all.size_bytes();
  converted_.push_back(std::move(values));
  return all;
}

Result<Linear> TensorReader::linear(std::string_view name, int64_t outputs, int64_t inputs) {
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

Result<float> TensorReader::tensor_scale(std::string_view name) {
  MKM_ASSIGN_OR_RETURN(const TensorView view, vector(name, 1));
  float scale;
  std::memcpy(&scale, view.data, sizeof(scale));
  if (std::isfinite(scale) && scale > 0) return scale;
  return error("tensor ", name, " is ", scale, "; must be finite and above 0");
}

Result<RmsNorm> TensorReader::norm(std::string_view name, int64_t size, double epsilon,
                                   bool zero_centred) {
  RmsNorm norm;
  const std::string weight = str_cat(name, ".weight");
  if (zero_centred) {
    const auto plus_one = [](float value) { return 1 + value; };
    MKM_ASSIGN_OR_RETURN(norm.weight, mapped_vector(weight, size, plus_one));
  } else {
    MKM_ASSIGN_OR_RETURN(norm.weight, vector(weight, size));
  }
  norm.epsilon = static_cast<float>(epsilon);
  return norm;
}

int TensorReader::ignore_all(std::string_view prefix) {
  int count = 0;
  for (const std::string& name : source_.names()) {
    if (!name.starts_with(prefix)) continue;
    ignore(name);
    ++count;
  }
  return count;
}

Status TensorReader::check_all_used() const {
  for (const std::string& name : source_.names()) {
    if (used_.contains(name)) continue;
    return error("tensor ", name, " has no place in a ", architecture_,
                 " model as mokume knows it");
  }
  return absl::OkStatus();
}

}  // namespace mokume
