// Rotary position embedding frequencies with their scalings folded in.
#pragma once

#include <span>

#include "base/status.h"
#include "model/model_spec.h"

namespace mokume {

struct RopeOptions {
  int dims = 0;  ///< even
  bool interleaved = false;
  double base = 10000;
  RopeScaling scaling;
  /// Divide the frequencies one by one (dims / 2 of them, as Llama 3.1 scales them), or empty.
  std::span<const float> divisors;
};

/// Pair i turns by position * base^(-2i / dims), scaled. YaRN: Peng et al. 2023, arXiv 2309.00071,
/// sections 3.2 and 3.4, with the pair index of the ramp rounded outwards as llama.cpp does.
Rope make_rope(const RopeOptions& options);

}  // namespace mokume
