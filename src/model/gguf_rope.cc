#include "model/gguf_rope.h"

#include "absl/strings/escaping.h"

namespace mokume {
namespace {

constexpr double kMaxFactor = 1e6;

Result<double> load_factor(const Checkpoint& checkpoint) {
  // Older files say rope.scale_linear; 0 means none.
  const bool old = !checkpoint.has_key("rope.scaling.factor");
  const std::string_view key = old ? "rope.scale_linear" : "rope.scaling.factor";
  MKM_ASSIGN_OR_RETURN(const double factor, checkpoint.real(key, 0, kMaxFactor, 0));
  if (factor != 0 && factor < 1e-3) return checkpoint.error(key, " is ", factor, "; is too small");
  return factor == 0 ? 1 : factor;
}

Status load_yarn(const Checkpoint& checkpoint, int context_length, RopeScaling& scaling) {
  MKM_ASSIGN_OR_RETURN(
      scaling.original_context,
      checkpoint.integer("rope.scaling.original_context_length", 1, 1 << 30, context_length));
  MKM_ASSIGN_OR_RETURN(scaling.beta_fast,
                       checkpoint.real("rope.scaling.yarn_beta_fast", 1e-3, 1e6, 32));
  MKM_ASSIGN_OR_RETURN(scaling.beta_slow,
                       checkpoint.real("rope.scaling.yarn_beta_slow", 1e-3, 1e6, 1));
  MKM_ASSIGN_OR_RETURN(scaling.extrapolation,
                       checkpoint.real("rope.scaling.yarn_ext_factor", 0, 1, 1));
  return absl::OkStatus();
}

Result<RopeScaling> load_scaling(const Checkpoint& checkpoint, int context_length) {
  RopeScaling scaling;
  MKM_ASSIGN_OR_RETURN(const std::string type, checkpoint.text("rope.scaling.type", "linear"));
  MKM_ASSIGN_OR_RETURN(scaling.factor, load_factor(checkpoint));
  MKM_ASSIGN_OR_RETURN(scaling.attention_factor,
                       checkpoint.real("rope.scaling.attn_factor", 1e-3, 1e3, 1));
  if (type == "none") return scaling;
  if (type == "linear") {
    scaling.type = RopeScaling::Type::kLinear;
    return scaling;
  }
  if (type == "yarn") {
    scaling.type = RopeScaling::Type::kYarn;
    MKM_RETURN_IF_ERROR(load_yarn(checkpoint, context_length, scaling));
    return scaling;
  }
  return checkpoint.error("rope.scaling.type is \"", absl::CHexEscape(type),
                          "\"; supported are none, linear and yarn");
}

Result<std::vector<float>> load_divisors(Checkpoint& checkpoint, int dims) {
  constexpr std::string_view kName = "rope_freqs.weight";
  if (!checkpoint.has_tensor(kName)) return std::vector<float>();
  MKM_ASSIGN_OR_RETURN(const TensorView view, checkpoint.vector(kName, dims / 2));
  std::vector<float> divisors(dims / 2);
  dequantize_row(view, 0, divisors);
  for (const float divisor : divisors) {
    if (divisor >= 1e-6f && divisor <= 1e6f) continue;
    return checkpoint.error("tensor ", kName, " has a factor of ", divisor,
                            "; must be 1e-6 to 1e6");
  }
  return divisors;
}

}  // namespace

Result<Rope> load_gguf_rope(Checkpoint& checkpoint, int head_dim, int context_length,
                            bool interleaved) {
  RopeOptions options;
  options.interleaved = interleaved;
  MKM_ASSIGN_OR_RETURN(options.dims,
                       checkpoint.integer("rope.dimension_count", 2, head_dim, head_dim));
  if (options.dims % 2 != 0) {
    return checkpoint.error("rope.dimension_count is ", options.dims, "; must be even");
  }
  MKM_ASSIGN_OR_RETURN(options.base, checkpoint.real("rope.freq_base", 1.001, 1e12, 10000));
  MKM_ASSIGN_OR_RETURN(options.scaling, load_scaling(checkpoint, context_length));
  MKM_ASSIGN_OR_RETURN(const std::vector<float> divisors, load_divisors(checkpoint, options.dims));
  options.divisors = divisors;
  return make_rope(options);
}

}  // namespace mokume
