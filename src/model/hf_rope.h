// The rope settings of a Hugging Face config.json.
#pragma once

#include <optional>

#include "model/hf_config.h"
#include "model/model_spec.h"

namespace mokume {

/// Reads rope_parameters (transformers 5) or rope_theta and rope_scaling (before). Scalings
/// default, linear, llama3 and yarn are known; transformers' modeling_rope_utils.py is what they
/// mean. Pairs lie half of what is turned apart. `usual_part` of a head is turned where the
/// settings are silent; without it the family turns whole heads, and any other setting is an error.
/// Sections of multimodal rope are the same rope for text.
Result<Rope> load_hf_rope(const HfConfig& config, int head_dim, int context_length,
                          std::optional<double> usual_part);

}  // namespace mokume
