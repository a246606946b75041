#include "quantize/rope_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mokume {
namespace {

template <typename... Args>
Status cannot(const Args&... args) {
  return absl::UnimplementedError(str_cat("[quantize] ", args..., " has no place in config.json"));
}

/// Within what divisors kept as float32 can say.
bool agree(double a, double b) { return std::abs(a - b) <= 1e-4 * std::max(std::abs(b), 1e-9); }

/// The share of a pair's own frequency that is kept, linear in the frequency between the bounds:
/// kept = slope * frequency - offset. Least squares over the pairs strictly between them.
struct KeptLine {
  double slope = 0, offset = 0;
  int pairs = 0;
};

KeptLine fit_kept(const Rope& rope, double factor) {
  double n = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  for (size_t i = 0; i < rope.divisors.size(); ++i) {
    const double kept = (1.0 / rope.divisors[i] - 1 / factor) / (1 - 1 / factor);
    if (kept <= 1e-6 || kept >= 1 - 1e-6) continue;
    const double x = std::pow(rope.base, -2.0 * static_cast<double>(i) / rope.dims);
    n += 1;
    sum_x += x;
    sum_y += kept;
    sum_xx += x * x;
    sum_xy += x * kept;
  }
  KeptLine line;
  line.pairs = static_cast<int>(n);
  if (line.pairs < 2) return line;
  line.slope = (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
  line.offset = (line.slope * sum_x - sum_y) / n;
  return line;
}

bool reproduces(const Rope& rope, const RopeConfig& config) {
  for (size_t i = 0; i < rope.divisors.size(); ++i) {
    const double frequency = std::pow(rope.base, -2.0 * static_cast<double>(i) / rope.dims);
    const double turns = *config.original_context * frequency / (2 * std::numbers::pi);
    const double low = *config.low_frequency, high = *config.high_frequency;
    const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    if (!agree(rope.divisors[i], 1 / (kept + (1 - kept) / config.factor))) return false;
  }
  return true;
}

Result<RopeConfig> llama3_config(const Rope& rope, RopeConfig config) {
  config.type = "llama3";
  config.factor = *std::ranges::max_element(rope.divisors);
  const KeptLine line = config.factor > 1 ? fit_kept(rope, config.factor) : KeptLine();
  if (line.pairs >= 2 && line.slope > 0 && line.offset > 0) {
    config.low_frequency = 1;
    config.high_frequency = std::round((1 + 1 / line.offset) * 1000) / 1000;
    const double width = *config.high_frequency - *config.low_frequency;
    config.original_context = std::round(line.slope * 2 * std::numbers::pi * width);
    if (reproduces(rope, config)) return config;
  }
  return cannot("a list of rope divisors that is not Llama 3's scaling");
}

Result<RopeConfig> yarn_config(const RopeScaling& scaling, RopeConfig config) {
  if (scaling.extrapolation != 1) return cannot("YaRN with an extrapolation factor");
  config.type = "yarn";
  config.factor = scaling.factor;
  config.original_context = scaling.original_context;
  config.beta_fast = scaling.beta_fast;
  config.beta_slow = scaling.beta_slow;
  if (scaling.attention_factor != 1) {
    config.attention_factor = scaling.attention_factor * (1 + 0.1 * std::log(scaling.factor));
  }
  return config;
}

}  // namespace

Result<RopeConfig> rope_config_of(const Rope& rope) {
  using Type = RopeScaling::Type;
  const RopeScaling& scaling = rope.scaling;
  const bool scaled = scaling.type != Type::kNone && scaling.factor != 1;
  RopeConfig config;
  config.theta = rope.base;
  if (!rope.divisors.empty()) {
    if (scaled) return cannot("a rope with divisors and a scaling");
    return llama3_config(rope, std::move(config));
  }
  if (scaled && scaling.type == Type::kYarn) return yarn_config(scaling, std::move(config));
  if (scaling.attention_factor != 1) return cannot("a rope with a magnitude of its own");
  if (!scaled) return config;
  config.type = "linear";
  config.factor = scaling.factor;
  return config;
}

}  // namespace mokume
