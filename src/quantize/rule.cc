#include "quantize/rule.h"

namespace mokume {
namespace {

bool fits(const Part& part, DType type) {
  return part.linear.weight.columns() % dtype_info(type).block_elements == 0;
}

/// E2M1 lies in groups of 16 that share a scale.
bool fits_nvfp4(const Part& part) { return part.linear.weight.columns() % 16 == 0; }

DType half_type(const Part& part) {
  return part.linear.weight.dtype == DType::kBF16 ? DType::kBF16 : DType::kF16;
}

DType in_directory(const Part& part, WeightFormat format) {
  if (!is_projection(part.role)) return half_type(part);
  if (format == WeightFormat::kInt8) return DType::kI8;
  return fits_nvfp4(part) ? DType::kE2M1 : half_type(part);
}

DType in_gguf(const Part& part, WeightFormat format) {
  const bool projection = is_projection(part.role);
  const bool end = part.role == Role::kEmbedding || part.role == Role::kHead;
  if (projection && format == WeightFormat::kNvfp4 && fits(part, DType::kNVFP4)) {
    return DType::kNVFP4;
  }
  return (projection || end) && fits(part, DType::kQ8_0) ? DType::kQ8_0 : half_type(part);
}

}  // namespace

Status check_format(WeightFormat format, Container container) {
  const bool directory = container == Container::kDirectory;
  if (format == WeightFormat::kKeep) {
    return invalid_argument("quantize",
                            "give a format to convert to: int8, fp16, bf16, nvfp4, q8_0");
  }
  if (format == WeightFormat::kQ8_0 && directory) {
    return invalid_argument("quantize", "q8_0 is a format of GGUF files: let OUT end in .gguf");
  }
  if (format == WeightFormat::kInt8 && !directory) {
    return invalid_argument("quantize",
                            "int8 is a format of Hugging Face directories: GGUF has fp16, bf16, "
                            "nvfp4 and q8_0");
  }
  return absl::OkStatus();
}

DType stored_type(const Part& part, WeightFormat format, Container container) {
  if (format == WeightFormat::kF16) return DType::kF16;
  if (format == WeightFormat::kBF16) return DType::kBF16;
  return container == Container::kGguf ? in_gguf(part, format) : in_directory(part, format);
}

}  // namespace mokume
