#include "quantize/plan.h"

#include <optional>

namespace mokume {
namespace {

constexpr int64_t kGroup = 16;  // columns that share a scale in E2M1

std::vector<int64_t> shape_of(const TensorView& view) {
  return {view.shape.begin(), view.shape.begin() + view.rank};
}

/// PyTorch's depthwise convolution has a dimension for the channels of a group.
std::vector<int64_t> directory_shape(const PlannedPart& planned) {
  const TensorView& view = planned.part.vector;
  if (planned.part.role != Role::kDeltaConv) return shape_of(view);
  return {view.rows(), 1, view.columns()};
}

void add_directory_matrix(const PlannedPart& planned, std::vector<SafetensorsTensor>& out) {
  const MatrixNames names = matrix_names(planned);
  const int64_t rows = planned.part.linear.weight.rows();
  const int64_t columns = planned.part.linear.weight.columns();
  switch (planned.type) {
    case DType::kI8:
      out.push_back({names.values, "I8", {rows, columns}});
      out.push_back({names.scales, "F32", {rows, 1}});
      break;
    case DType::kE2M1:
      out.push_back({names.values, "U8", {rows, columns / 2}});
      out.push_back({names.scales, "F8_E4M3", {rows, columns / kGroup}});
      out.push_back({names.divisor, "F32", {1}});
      break;
    default:
      out.push_back({names.values, std::string(dtype_info(planned.type).name), {rows, columns}});
  }
}

/// GGUF keeps what divides a rope's frequencies as a tensor.
std::optional<Part> rope_divisors(const ModelSpec& spec) {
  for (const LayerSpec& layer : spec.layers) {
    const auto* attention = std::get_if<Attention>(&layer.mixer);
    if (attention == nullptr || attention->rope.divisors.empty()) continue;
    const std::vector<float>& divisors = attention->rope.divisors;
    Part part;
    part.role = Role::kRopeDivisors;
    part.vector.name = "rope_freqs.weight";
    part.vector.data = reinterpret_cast<const std::byte*>(divisors.data());
    part.vector.bytes = divisors.size() * sizeof(float);
    part.vector.rank = 1;
    part.vector.shape[0] = static_cast<int64_t>(divisors.size());
    return part;
  }
  return std::nullopt;
}

}  // namespace

OutputPlan make_plan(const ModelSpec& spec, const Family& family, WeightFormat format,
                     Container container) {
  const bool gguf = container == Container::kGguf;
  OutputPlan plan;
  plan.container = container;
  plan.conventions = gguf ? family.in_gguf : family.in_hf;
  std::vector<Part> parts = parts_of(spec);
  if (const std::optional<Part> divisors = gguf ? rope_divisors(spec) : std::nullopt) {
    parts.push_back(*divisors);
  }
  for (Part& part : parts) {
    PlannedPart planned;
    planned.order = order_for(part, plan.conventions);
    if (part.is_matrix()) planned.type = stored_type(part, format, container);
    planned.name = gguf ? gguf_name(part, family) : hf_name(part);
    planned.part = std::move(part);
    plan.parts.push_back(std::move(planned));
  }
  return plan;
}

MatrixNames matrix_names(const PlannedPart& planned) {
  const auto name = [&](std::string_view suffix) { return str_cat(planned.name, suffix); };
  switch (planned.type) {
    case DType::kI8:
      return {.values = name(".weight"), .scales = name(".weight_scale")};
    case DType::kE2M1:
      return {.values = name(".weight_packed"),
              .scales = name(".weight_scale"),
              .divisor = name(".weight_global_scale")};
    case DType::kNVFP4:
      return {.values = name(".weight"), .scale = name(".scale")};
    default:
      return {.values = name(".weight")};
  }
}

std::vector<SafetensorsTensor> directory_tensors(const OutputPlan& plan) {
  std::vector<SafetensorsTensor> tensors;
  for (const PlannedPart& planned : plan.parts) {
    if (!planned.part.is_matrix()) {
      tensors.push_back({planned.name, "F32", directory_shape(planned)});
      continue;
    }
    add_directory_matrix(planned, tensors);
    if (!planned.part.linear.bias) continue;
    tensors.push_back({str_cat(planned.name, ".bias"), "F32", shape_of(planned.part.linear.bias)});
  }
  return tensors;
}

std::vector<GgufTensor> gguf_tensors(const OutputPlan& plan) {
  std::vector<GgufTensor> tensors;
  for (const PlannedPart& planned : plan.parts) {
    if (!planned.part.is_matrix()) {
      tensors.push_back({planned.name, DType::kF32, shape_of(planned.part.vector)});
      continue;
    }
    const Linear& linear = planned.part.linear;
    const MatrixNames names = matrix_names(planned);
    tensors.push_back({names.values, planned.type, shape_of(linear.weight)});
    if (!names.scale.empty()) tensors.push_back({names.scale, DType::kF32, {1}});
    if (!linear.bias) continue;
    tensors.push_back({str_cat(planned.name, ".bias"), DType::kF32, shape_of(linear.bias)});
  }
  return tensors;
}

}  // namespace mokume
