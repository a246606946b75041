// Qwen3.5 in Hugging Face's names.
#pragma once

#include "base/status.h"
#include "model/decoder.h"
#include "model/hf_config.h"
#include "model/tensor_reader.h"

namespace mokume {

/// What a qwen3_5 or qwen3_5_text has beside what every decoder has: `config` holds the language
/// model's settings.
Status refine_hf_qwen3_5(const HfConfig& config, TensorReader& reader, DecoderShape& shape,
                         DecoderNames& names);

}  // namespace mokume
