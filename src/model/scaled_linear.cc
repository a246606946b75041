#include "model/scaled_linear.h"

#include <algorithm>
#include <string>

#include "base/log.h"
#include "model/tensor_reader.h"

namespace mokume {
namespace {

class ScaledLinearReader {
 public:
  ScaledLinearReader(TensorReader& reader, std::string_view name, LinearScheme scheme,
                     int64_t outputs, int64_t inputs)
      : reader_(reader), name_(name), scheme_(scheme), outputs_(outputs), inputs_(inputs) {}

  Result<Linear> read() {
    switch (scheme_) {
      case LinearScheme::kInt8:
        return int8();
      case LinearScheme::kFp8:
        return fp8();
      case LinearScheme::kNvfp4:
      case LinearScheme::kModelOptNvfp4:
        return nvfp4();
    }
    return reader_.error("layer ", name_, " is stored in no known scheme");
  }

 private:
  static constexpr int64_t kGroup = 16;  // of NVFP4

  Result<Linear> int8() {
    const bool packed = !has("weight") && has("weight_packed");
    Linear linear;
    MKM_RETURN_IF_ERROR(check_absent(packed ? "weight" : "weight_packed"));
    if (packed) MKM_RETURN_IF_ERROR(check_packed_shape());
    MKM_ASSIGN_OR_RETURN(linear.weight, tensor(packed ? "weight_packed" : "weight",
                                               packed ? DType::kI8Plus128 : DType::kI8, inputs_));
    MKM_RETURN_IF_ERROR(read_row_scales(linear));
    return linear;
  }

  Result<Linear> fp8() {
    Linear linear;
    MKM_RETURN_IF_ERROR(check_absent("weight_packed"));
    MKM_ASSIGN_OR_RETURN(linear.weight, tensor("weight", DType::kF8_E4M3, inputs_));
    MKM_RETURN_IF_ERROR(read_row_scales(linear));
    return linear;
  }

  Result<Linear> nvfp4() {
    const bool modelopt = scheme_ == LinearScheme::kModelOptNvfp4;
    if (inputs_ % kGroup != 0) {
      return reader_.error("layer ", name_, " has ", inputs_, " inputs; NVFP4 needs a multiple of ",
                           "its group size ", kGroup);
    }
    Linear linear;
    MKM_RETURN_IF_ERROR(check_absent(modelopt ? "weight_packed" : "weight"));
    MKM_ASSIGN_OR_RETURN(linear.weight,
                         tensor(modelopt ? "weight" : "weight_packed", DType::kE2M1, inputs_));
    MKM_ASSIGN_OR_RETURN(linear.scales, tensor("weight_scale", DType::kF8_E4M3, inputs_ / kGroup));
    MKM_ASSIGN_OR_RETURN(const float whole,
                         number(modelopt ? "weight_scale_2" : "weight_global_scale"));
    (modelopt ? linear.scale : linear.divisor) = whole;
    MKM_RETURN_IF_ERROR(check_unused(modelopt ? "input_scale" : "input_global_scale"));
    return linear;
  }

  Status read_row_scales(Linear& linear) {
    MKM_RETURN_IF_ERROR(check_present("weight_scale"));
    MKM_RETURN_IF_ERROR(check_absent("weight_zero_point"));
    MKM_ASSIGN_OR_RETURN(linear.scales, reader_.row_scales(full("weight_scale"), outputs_));
    // Of activations: an offset changes nothing that the weight is.
    reader_.ignore(full("input_zero_point"));
    return check_unused("input_scale");
  }

  std::string full(std::string_view tensor) const { return str_cat(name_, ".", tensor); }
  bool has(std::string_view tensor) const { return reader_.has_tensor(full(tensor)); }

  Status check_present(std::string_view tensor) const {
    if (has(tensor)) return absl::OkStatus();
    return reader_.error("no tensor ", full(tensor), "; the checkpoint's configuration says that ",
                         "layer ", name_, " is ", linear_scheme_name(scheme_));
  }
  Status check_absent(std::string_view tensor) const {
    if (!has(tensor)) return absl::OkStatus();
    return reader_.error("tensor ", full(tensor), " has no place in a layer that is ",
                         linear_scheme_name(scheme_));
  }

  /// [outputs, columns] of the type.
  Result<TensorView> tensor(std::string_view suffix, DType type, int64_t columns) {
    MKM_RETURN_IF_ERROR(check_present(suffix));
    MKM_ASSIGN_OR_RETURN(const TensorView view, reader_.stored(full(suffix)));
    const bool right = view.dtype == type && view.rank == 2 && view.shape[0] == outputs_ &&
                       view.shape[1] == columns;
    if (right) return view;
    return reader_.error("tensor ", full(suffix), " is ", to_string(view), "; must be [", outputs_,
                         ", ", columns, "] ", dtype_info(type).name, ", as layer ", name_, " is ",
                         linear_scheme_name(scheme_));
  }

  Result<float> number(std::string_view suffix) {
    MKM_RETURN_IF_ERROR(check_present(suffix));
    return reader_.tensor_scale(full(suffix));
  }

  Status check_unused(std::string_view suffix) {
    return has(suffix) ? reader_.tensor_scale(full(suffix)).status() : absl::OkStatus();
  }

  /// compressed-tensors pads rows to whole packs; the shape says what was there before.
  Status check_packed_shape() {
    MKM_RETURN_IF_ERROR(check_present("weight_shape"));
    MKM_ASSIGN_OR_RETURN(const auto shape, reader_.integers(full("weight_shape")));
    if (std::ranges::equal(shape, std::initializer_list<int64_t>{outputs_, inputs_})) {
      return absl::OkStatus();
    }
    return reader_.error("tensor ", full("weight_shape"), " must hold ", outputs_, " and ",
                         inputs_);
  }

  TensorReader& reader_;
  const std::string_view name_;
  const LinearScheme scheme_;
  const int64_t outputs_, inputs_;
};

}  // namespace

Result<Linear> read_scaled_linear(TensorReader& reader, std::string_view name, LinearScheme scheme,
                                  int64_t outputs, int64_t inputs) {
  return ScaledLinearReader(reader, name, scheme, outputs, inputs).read();
}

void ignore_kv_scales(const HfQuantization& quantization, const WeightSource& weights,
                      TensorReader& reader) {
  bool found = quantization.has_kv_scheme;
  if (!found && quantization.groups.empty()) return;
  for (const std::string& name : weights.names()) {
    if (!name.ends_with(".k_scale") && !name.ends_with(".v_scale")) continue;
    reader.ignore(name);
    found = true;
  }
  if (!found) return;
  log().info(
      "the checkpoint's quantization of keys and values is not used: they are held as the "
      "server's pages hold them ({})",
      weights.path());
}

}  // namespace mokume
