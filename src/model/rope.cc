#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mokume {
namespace {

/// The pair index (a real number) whose frequency turns `rotations` times within `context`
/// positions.
double pair_of_rotations(double rotations, double context, int dims, double base) {
  return dims * std::log(context / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
}

/// How much of a pair's own frequency YaRN keeps: 1 below `low`, 0 above `high`, linear in between.
struct YarnRamp {
  double low = 0;
  double high = 0;

  YarnRamp(const RopeScaling& scaling, int dims, double base) {
    const double context = scaling.original_context;
    low = std::floor(pair_of_rotations(scaling.beta_fast, context, dims, base));
    high = std::ceil(pair_of_rotations(scaling.beta_slow, context, dims, base));
    low = std::max(low, 0.0);
    high = std::min(high, dims - 1.0);
  }
  double kept(int pair) const {
    return 1 - std::clamp((pair - low) / std::max(0.001, high - low), 0.0, 1.0);
  }
};

}  // namespace

Rope make_rope(const RopeOptions& options) {
  const RopeScaling& scaling = options.scaling;
  const bool yarn = scaling.type == RopeScaling::Type::kYarn;
  const double factor = scaling.type == RopeScaling::Type::kNone ? 1 : scaling.factor;
  const YarnRamp ramp(scaling, options.dims, options.base);
  Rope rope;
  rope.dims = options.dims;
  rope.interleaved = options.interleaved;
  rope.base = options.base;
  rope.scaling = scaling;
  rope.divisors.assign(options.divisors.begin(), options.divisors.end());
  double magnitude = scaling.attention_factor;
  if (yarn && scaling.extrapolation != 0) magnitude *= 1 + 0.1 * std::log(factor);
  rope.magnitude = static_cast<float>(magnitude);
  for (int pair = 0; pair < options.dims / 2; ++pair) {
    double own = std::pow(options.base, -2.0 * pair / options.dims);
    if (!options.divisors.empty()) own /= options.divisors[pair];
    const double kept = yarn ? ramp.kept(pair) * scaling.extrapolation : 0;
    rope.inverse_frequencies.push_back(static_cast<float>(own * kept + own / factor * (1 - kept)));
  }
  return rope;
}

}  // namespace mokume
