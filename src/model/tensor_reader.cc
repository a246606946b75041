#include "model/tensor_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "model/linear.h"
#include "model/scaled_linear.h"

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
  if (needs_scales(view.dtype)) {
    return error("tensor ", name, " is ", to_string(view), ", quantized, but the checkpoint's ",
                 "configuration does not say so, or this is no place for it");
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
  std::vector<float> values(static_cast<size_t>(view.rows()) * columns);
  const std::span<float> all(values);
  for (int64_t row = 0; row < view.rows(); ++row) {
    dequantize_row(view, row, all.subspan(static_cast<size_t>(row) * columns, columns));
  }
  return hold(std::move(values), view);
}

std::span<float> TensorReader::hold(std::vector<float> values, TensorView& view) {
  const auto held = std::make_shared<std::vector<float>>(std::move(values));
  view.data = reinterpret_cast<const std::byte*>(held->data());
  view.dtype = DType::kF32;
  view.bytes = held->size() * sizeof(float);
  converted_.push_back(held);
  return *held;
}

Result<TensorView> TensorReader::stored(std::string_view name) {
  MKM_ASSIGN_OR_RETURN(TensorView view, source_.tensor(name));
  used_.emplace(name);
  return view;
}

Result<std::vector<int64_t>> TensorReader::integers(std::string_view name) {
  MKM_ASSIGN_OR_RETURN(std::vector<int64_t> numbers, source_.integers(name));
  used_.emplace(name);
  return numbers;
}

Result<TensorView> TensorReader::row_scales(std::string_view name, int64_t rows) {
  MKM_ASSIGN_OR_RETURN(TensorView view, stored(name));
  const bool one = view.rank <= 2 && view.rows() * view.columns() == 1;
  const bool each =
      view.shape[0] == rows && (view.rank == 1 || (view.rank == 2 && view.shape[1] == 1));
  if (!is_float(view.dtype) || !(one || each)) {
    return error("tensor ", name, " is ", to_string(view), "; must be [", rows, "], [", rows,
                 ", 1] or [1], of F32, F16 or BF16");
  }
  view.rank = 1;
  view.shape = {rows};
  if (!each) {
    float value;
    view.shape = {1};
    dequantize_row(view, 0, {&value, 1});
    view.shape = {rows};
    hold(std::vector<float>(static_cast<size_t>(rows), value), view);
  } else if (!is_readable_in_place(view)) {
    convert(view);
  }
  MKM_RETURN_IF_ERROR(check_row_scales(view, source_.path()));
  return view;
}

Result<Linear> TensorReader::linear(std::string_view name, int64_t outputs, int64_t inputs) {
  const auto scheme = quantization_ ? quantization_->scheme_of(name) : std::nullopt;
  MKM_ASSIGN_OR_RETURN(Linear linear,
                       scheme ? read_scaled_linear(*this, name, *scheme, outputs, inputs)
                              : plain_linear(name, outputs, inputs));
  const std::string bias = str_cat(name, ".bias");
  if (has_tensor(bias)) {
    MKM_ASSIGN_OR_RETURN(linear.bias, vector(bias, outputs));
  }
  return linear;
}

Result<Linear> TensorReader::plain_linear(std::string_view name, int64_t outputs, int64_t inputs) {
  const std::string weight = str_cat(name, ".weight");
  const std::string packed = str_cat(name, ".weight_packed");
  if (!has_tensor(weight) && has_tensor(packed)) {
    return error("tensor ", packed, " is there in place of ", weight,
                 ", but the checkpoint's configuration does not say that the layer is quantized");
  }
  Linear linear;
  MKM_ASSIGN_OR_RETURN(linear.weight, tensor(weight, {outputs, inputs}));
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
  MKM_RETURN_IF_ERROR(check_row_scales(view, source_.path()));
  float scale;
  std::memcpy(&scale, view.data, sizeof(scale));
  return scale;
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
