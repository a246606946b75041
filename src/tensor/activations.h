// What the inputs of products can be rounded to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mokume {

/// Where a matrix is of that type and the device multiplies in it; what else there is is not
/// touched.
enum class Activations : uint8_t {
  kAuto,   ///< the device's own choice
  kInt8,   ///< one scale a row
  kF8,     ///< E4M3, one scale a row
  kNvfp4,  ///< E2M1 in groups of 16 with E4M3 scales
};

/// The names users write.
inline constexpr std::array<std::string_view, 4> kActivationNames = {"auto", "int8", "fp8",
                                                                     "nvfp4"};

constexpr std::string_view activations_name(Activations activations) {
  return kActivationNames[static_cast<size_t>(activations)];
}

/// Empty for a name that is none.
constexpr std::optional<Activations> activations_of(std::string_view name) {
  for (size_t i = 0; i < kActivationNames.size(); ++i) {
    if (kActivationNames[i] == name) return static_cast<Activations>(i);
  }
  return std::nullopt;
}

}  // namespace mokume
