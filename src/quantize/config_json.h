// config.json and generation_config.json of a Hugging Face directory, as transformers writes them.
#pragma once

#include <string>

#include "base/status.h"
#include "quantize/facts.h"
#include "quantize/plan.h"

namespace mokume {

/// Unimplemented when the family's configuration cannot say what the model is.
Result<std::string> config_json(const ModelSpec& spec, const Family& family, const OutputPlan& plan,
                                WeightFormat format, const TokenIds& ids);

std::string generation_config_json(const TokenIds& ids);

}  // namespace mokume
