// The types that keys and values can be kept as.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mokume {

enum class KvType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kInt16,  ///< these have one F32 scale for each key and each value of a head
  kInt8,
  kF8  ///< E4M3; GPUs only
};

/// What devices keep when nobody chose.
inline constexpr KvType kCpuKvType = KvType::kInt16;
inline constexpr KvType kGpuKvType = KvType::kF16;

/// The names users write, in the order of KvType.
inline constexpr std::array<std::string_view, 6> kKvTypeNames = {"fp32",  "fp16", "bf16",
                                                                 "int16", "int8", "fp8"};

constexpr std::string_view kv_type_name(KvType type) {
  return kKvTypeNames[static_cast<size_t>(type)];
}

/// Empty for a name that is none.
constexpr std::optional<KvType> kv_type_of(std::string_view name) {
  for (size_t i = 0; i < kKvTypeNames.size(); ++i) {
    if (kKvTypeNames[i] == name) return static_cast<KvType>(i);
  }
  return std::nullopt;
}

constexpr bool has_scales(KvType type) { return type >= KvType::kInt16; }

constexpr uint64_t element_bytes(KvType type) {
  switch (type) {
    case KvType::kF32:
      return 4;
    case KvType::kInt8:
    case KvType::kF8:
      return 1;
    default:
      return 2;
  }
}

}  // namespace mokume
