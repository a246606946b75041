#include "weights/gguf_types.h"

#include <array>

#include "base/status.h"

namespace mokume {
namespace {

struct GgmlType {
  uint32_t id;
  DType dtype;
};

constexpr std::array kKnown = {
    GgmlType{0, DType::kF32},    GgmlType{1, DType::kF16},     GgmlType{2, DType::kQ4_0},
    GgmlType{3, DType::kQ4_1},   GgmlType{6, DType::kQ5_0},    GgmlType{7, DType::kQ5_1},
    GgmlType{8, DType::kQ8_0},   GgmlType{12, DType::kQ4_K},   GgmlType{13, DType::kQ5_K},
    GgmlType{14, DType::kQ6_K},  GgmlType{20, DType::kIQ4_NL}, GgmlType{30, DType::kBF16},
    GgmlType{39, DType::kMXFP4}, GgmlType{40, DType::kNVFP4},
};

// By number; 4 and 5, 31 to 33 and 36 to 38 were taken out of the format again.
constexpr std::array<std::string_view, 41> kNames = {
    "F32",     "F16",   "Q4_0",   "Q4_1",  "",      "",       "Q5_0", "Q5_1",    "Q8_0",
    "Q8_1",    "Q2_K",  "Q3_K",   "Q4_K",  "Q5_K",  "Q6_K",   "Q8_K", "IQ2_XXS", "IQ2_XS",
    "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",   "I16",     "I32",
    "I64",     "F64",   "IQ1_M",  "BF16",  "",      "",       "",     "TQ1_0",   "TQ2_0",
    "",        "",      "",       "MXFP4", "NVFP4"};

}  // namespace

std::optional<DType> dtype_of_ggml_type(uint32_t id) {
  for (const GgmlType& type : kKnown) {
    if (type.id == id) return type.dtype;
  }
  return std::nullopt;
}

std::optional<uint32_t> ggml_type_of(DType dtype) {
  for (const GgmlType& type : kKnown) {
    if (type.dtype == dtype) return type.id;
  }
  return std::nullopt;
}

std::string_view ggml_type_name(uint32_t id) { return id < kNames.size() ? kNames[id] : ""; }

std::string known_ggml_types() {
  std::string text;
  for (const GgmlType& type : kKnown) {
    text += str_cat(text.empty() ? "" : ", ", dtype_info(type.dtype).name, " (", type.id, ")");
  }
  return text;
}

}  // namespace mokume
