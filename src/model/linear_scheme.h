// How checkpoints store the weight of a quantized linear layer.
#pragma once

#include <cstdint>
#include <string_view>

namespace mokume {

/// The tensors of a layer "<name>." in a Hugging Face checkpoint.
enum class LinearScheme : uint8_t {
  kInt8,          ///< weight I8 (or weight_packed I32 with weight_shape), weight_scale a row
  kFp8,           ///< weight F8_E4M3, weight_scale a row or one
  kNvfp4,         ///< weight_packed U8, weight_scale F8_E4M3, weight_global_scale that divides
  kModelOptNvfp4  ///< weight U8, weight_scale F8_E4M3, weight_scale_2 that multiplies
};

constexpr std::string_view linear_scheme_name(LinearScheme scheme) {
  switch (scheme) {
    case LinearScheme::kInt8:
      return "INT8";
    case LinearScheme::kFp8:
      return "FP8";
    case LinearScheme::kNvfp4:
      return "NVFP4 of compressed-tensors";
    case LinearScheme::kModelOptNvfp4:
      return "NVFP4 of ModelOpt";
  }
  return "";
}

}  // namespace mokume
