// Rotary position embedding frequencies with their scalings folded in.
#pragma once

#include <span>

#include "base/status.h"
#include "model/model_spec.h"

namespace mokume {

struct RopeScaling {
  enum class Type { kNone, kLinear, kYarn };
  Type type = Type::kNone;
  double factor = 1;            ///< how many times longer the context became
  double original_context = 0;  ///< positions before the scaling; for kYarn
  double beta_fast = 32;     ///< kYarn: pairs that turn more often than this over it are left alone
  double beta_slow = 1;      ///< kYarn: pairs that turn less often than this are scaled in full
  double extrapolation = 1;  ///< kYarn: 0 scales every pair in full
  double attention_factor = 1;  ///< multiplies the magnitude
};

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
