// The rope settings of a Hugging Face config.json.
#pragma once

#include "model/hf_config.h"
#include "model/model_spec.h"

namespace mokume {

/// Reads rope_parameters (transformers 5) or rope_theta and rope_scaling (before). Scalings
/// default, linear, llama3 and yarn are known; transformers' modeling_rope_utils.py is what they
/// mean. Pairs are half a head apart.
Result<Rope> load_hf_rope(const HfConfig& config, int head_dim, int context_length);

}  // namespace mokume
