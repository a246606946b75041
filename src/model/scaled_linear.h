// Linear layers whose weights need scales that lie in other tensors.
#pragma once

#include <string_view>

#include "base/status.h"
#include "model/hf_quantization.h"
#include "model/model_spec.h"
#include "weights/weight_source.h"

namespace mokume {

class TensorReader;

/// The layer "<name>." with the tensors that the scheme asks for, exactly those; no bias. Scales of
/// activations are checked and not used: a device rounds activations its own way. Scales of rows
/// and tensors are finite and above 0; those of groups are not looked at (check_scales()). Errors
/// name the tensor and the file.
Result<Linear> read_scaled_linear(TensorReader& reader, std::string_view name, LinearScheme scheme,
                                  int64_t outputs, int64_t inputs);

/// Lets the scales of a quantized KV cache be there ("<attention>.k_scale", ...), and says in the
/// log that they are not used: pages hold keys and values in a type of their own.
void ignore_kv_scales(const HfQuantization& quantization, const WeightSource& weights,
                      TensorReader& reader);

}  // namespace mokume
