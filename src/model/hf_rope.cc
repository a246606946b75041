#include "model/hf_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/escaping.h"
#include "model/rope.h"

namespace mokume {
namespace {

constexpr double kMaxFactor = 1e6;
constexpr int kMaxOriginalContext = 1 << 30;

/// How much YaRN multiplies magnitudes by, unless told otherwise.
double yarn_magnitude(double factor, double scale) { return 1 + 0.1 * scale * std::log(factor); }

/// The settings of one file, of which `group` ("rope_scaling.") says how the context was stretched.
class RopeReader {
 public:
  RopeReader(const HfConfig& config, int head_dim, int context_length,
             std::optional<double> usual_part)
      : config_(config),
        head_dim_(head_dim),
        context_length_(context_length),
        usual_part_(usual_part),
        group_(is_nested() ? "rope_parameters." : "rope_scaling.") {}

  Result<Rope> read() {
    MKM_RETURN_IF_ERROR(check_flat());
    const bool in_group = config_.has(key("rope_theta"));
    const std::string theta = in_group ? key("rope_theta") : "rope_theta";
    MKM_ASSIGN_OR_RETURN(options_.base, config_.real(theta, 1.001, 1e12, 10000));
    MKM_RETURN_IF_ERROR(read_dims());
    MKM_RETURN_IF_ERROR(read_scaling());
    options_.divisors = divisors_;
    return make_rope(options_);
  }

 private:
  bool is_nested() const {
    return std::ranges::any_of(config_.json().values(), [](const auto& setting) {
      return setting.first.starts_with("rope_parameters.");
    });
  }
  std::string key(std::string_view name) const { return str_cat(group_, name); }

  /// Some families have a group for every kind of layer; none of ours does.
  Status check_flat() const {
    for (const auto& [name, value] : config_.json().values()) {
      if (!name.starts_with(group_)) continue;
      const std::string_view inner = std::string_view(name).substr(group_.size());
      if (inner.find('.') == std::string_view::npos) continue;
      if (usual_part_ && inner.starts_with("mrope_section.")) continue;
      return config_.error(absl::CHexEscape(name), " is not supported: one rope for all layers");
    }
    return absl::OkStatus();
  }

  /// What the group says comes before what the file says.
  Status read_dims() {
    const std::string in_group = key(kPartial);
    const std::string name = config_.has(in_group) ? in_group : std::string(kPartial);
    MKM_ASSIGN_OR_RETURN(const double part, config_.real(name, 0, 1, usual_part_.value_or(1)));
    if (!usual_part_ && part != 1) {
      return config_.error(name, " is ", part, "; only 1 is supported");
    }
    options_.dims = static_cast<int>(head_dim_ * part);
    if (options_.dims >= 2 && options_.dims % 2 == 0) return absl::OkStatus();
    return config_.error(name, " ", part, " of heads of ", head_dim_, " elements is ",
                         options_.dims, "; must be even and at least 2");
  }

  Status read_scaling() {
    MKM_ASSIGN_OR_RETURN(const std::string old_type, config_.text(key("type"), "default"));
    MKM_ASSIGN_OR_RETURN(const std::string type, config_.text(key("rope_type"), old_type));
    if (type == "default") return absl::OkStatus();
    if (type == "linear") return read_linear();
    if (type == "llama3") return read_llama3();
    if (type == "yarn") return read_yarn();
    return config_.error(key("rope_type"), " is \"", absl::CHexEscape(type),
                         "\"; supported are default, linear, llama3 and yarn");
  }

  Status read_linear() {
    options_.scaling.type = RopeScaling::Type::kLinear;
    MKM_ASSIGN_OR_RETURN(options_.scaling.factor, config_.real(key("factor"), 1, kMaxFactor));
    return absl::OkStatus();
  }

  Result<int> original_context() const {
    return config_.integer(key("original_max_position_embeddings"), 1, kMaxOriginalContext,
                           context_length_);
  }

  /// Pairs that turn slowly are scaled in full, those that turn fast not at all.
  Status read_llama3() {
    MKM_ASSIGN_OR_RETURN(const double factor, config_.real(key("factor"), 1, kMaxFactor));
    MKM_ASSIGN_OR_RETURN(const double low, config_.real(key("low_freq_factor"), 1e-3, 1e6));
    MKM_ASSIGN_OR_RETURN(const double high, config_.real(key("high_freq_factor"), 1e-3, 1e6));
    if (low >= high) {
      return config_.error(key("low_freq_factor"), " ", low, " must be below high_freq_factor ",
                           high);
    }
    MKM_ASSIGN_OR_RETURN(const int context, original_context());
    for (int pair = 0; pair < options_.dims / 2; ++pair) {
      const double frequency = std::pow(options_.base, -2.0 * pair / options_.dims);
      const double turns = context * frequency / (2 * std::numbers::pi);
      const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
      divisors_.push_back(static_cast<float>(1 / (kept + (1 - kept) / factor)));
    }
    return absl::OkStatus();
  }

  Status read_yarn() {
    RopeScaling& scaling = options_.scaling;
    scaling.type = RopeScaling::Type::kYarn;
    MKM_ASSIGN_OR_RETURN(scaling.factor, config_.real(key("factor"), 1, kMaxFactor));
    MKM_ASSIGN_OR_RETURN(scaling.original_context, original_context());
    MKM_ASSIGN_OR_RETURN(scaling.beta_fast, config_.real(key("beta_fast"), 1e-3, 1e6, 32));
    MKM_ASSIGN_OR_RETURN(scaling.beta_slow, config_.real(key("beta_slow"), 1e-3, 1e6, 1));
    MKM_ASSIGN_OR_RETURN(const bool truncate, config_.flag(key("truncate"), true));
    if (!truncate) return config_.error(key("truncate"), " is false, which is not supported");
    return read_yarn_magnitude();
  }

  Status read_yarn_magnitude() {
    const double usual = yarn_magnitude(options_.scaling.factor, 1);
    double wanted = usual;
    if (config_.has(key("attention_factor"))) {
      MKM_ASSIGN_OR_RETURN(wanted, config_.real(key("attention_factor"), 1e-3, 1e3));
    } else {
      MKM_ASSIGN_OR_RETURN(const double scale, config_.real(key("mscale"), 0, 1e3, 0));
      MKM_ASSIGN_OR_RETURN(const double all, config_.real(key("mscale_all_dim"), 0, 1e3, 0));
      const double factor = options_.scaling.factor;
      if (scale != 0 && all != 0) {
        wanted = yarn_magnitude(factor, scale) / yarn_magnitude(factor, all);
      }
    }
    options_.scaling.attention_factor = wanted / usual;  // make_rope() multiplies by the usual one
    return absl::OkStatus();
  }

  static constexpr std::string_view kPartial = "partial_rotary_factor";

  const HfConfig& config_;
  const int head_dim_;
  const int context_length_;
  const std::optional<double> usual_part_;
  const std::string_view group_;
  RopeOptions options_;
  std::vector<float> divisors_;
};

}  // namespace

Result<Rope> load_hf_rope(const HfConfig& config, int head_dim, int context_length,
                          std::optional<double> usual_part) {
  return RopeReader(config, head_dim, context_length, usual_part).read();
}

}  // namespace mokume
