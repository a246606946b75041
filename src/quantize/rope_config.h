// A rope as config.json tells of it.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "model/model_spec.h"

namespace mokume {

/// The settings of rope_parameters (older transformers: rope_theta and rope_scaling).
struct RopeConfig {
  std::string type = "default";  ///< default, linear, yarn, llama3
  double theta = 0;
  double factor = 1;
  std::optional<double> original_context;                        ///< yarn, llama3
  std::optional<double> beta_fast, beta_slow, attention_factor;  ///< yarn
  std::optional<double> low_frequency, high_frequency;           ///< llama3
};

/// Unimplemented for what config.json has no words for. Llama 3's frequency factors are found from
/// the divisors that GGUF keeps instead: any low_freq_factor goes with some high_freq_factor and
/// original context that give the same rope; it is taken to be 1, as in every released model.
Result<RopeConfig> rope_config_of(const Rope& rope);

}  // namespace mokume
