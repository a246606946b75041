// A model from a Hugging Face directory: config.json and safetensors.
#pragma once

#include "base/status.h"
#include "model/model_spec.h"
#include "weights/json_config.h"

namespace mokume {

/// The model that `weights` hold, as `config` (config.json) describes it: model_type llama,
/// mistral, qwen2, qwen3, qwen3_5 (the language model of it) or qwen3_5_text. `modelopt` is
/// hf_quant_config.json where there is one. Every setting is bounded and every tensor's shape
/// checked; errors name the key or tensor and the file. The views point into `weights`.
Result<ModelSpec> load_hf_spec(const JsonConfig& config, const WeightSource& weights,
                               const JsonConfig* modelopt = nullptr);

}  // namespace mokume
