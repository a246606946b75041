// The formats that weights can be converted to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mokume {

enum class WeightFormat : uint8_t {
  kKeep,  ///< as the checkpoint has them
  kInt8,  ///< I8, one scale a row
  kF16,
  kBF16,
  kNvfp4,  ///< E2M1 in groups of 16 with E4M3 scales and one scale a tensor
  kQ8_0    ///< groups of 32; in files only
};

/// The names users write: "keep", "int8", "fp16", "bf16", "nvfp4", "q8_0".
inline constexpr std::array<std::string_view, 6> kWeightFormatNames = {"keep", "int8",  "fp16",
                                                                       "bf16", "nvfp4", "q8_0"};

constexpr std::string_view weight_format_name(WeightFormat format) {
  return kWeightFormatNames[static_cast<size_t>(format)];
}

/// Empty for a name that is none.
constexpr std::optional<WeightFormat> weight_format_of(std::string_view name) {
  for (size_t i = 0; i < kWeightFormatNames.size(); ++i) {
    if (kWeightFormatNames[i] == name) return static_cast<WeightFormat>(i);
  }
  return std::nullopt;
}

}  // namespace mokume
