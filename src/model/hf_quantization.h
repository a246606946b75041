// Which linear layers of a Hugging Face checkpoint are quantized, and how: quantization_config of
// config.json, or ModelOpt's hf_quant_config.json.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/linear_scheme.h"
#include "model/module_names.h"
#include "weights/json_config.h"

namespace mokume {

/// What the settings say; the tensors themselves are checked when they are read.
struct HfQuantization {
  struct Group {
    std::optional<LinearScheme> scheme;  ///< empty: the layers' weights are floats
    ModuleNames targets;
  };
  std::vector<Group> groups;
  ModuleNames ignored;
  bool has_kv_scheme = false;  ///< keys and values were meant to be held in 8 bits or less

  /// Of the linear layer with this full name, "model.layers.3.mlp.up_proj"; empty when its weight
  /// is stored as floats. The group that names it most closely decides.
  std::optional<LinearScheme> scheme_of(std::string_view module) const;
};

/// `modelopt` is hf_quant_config.json, or null; it is read where config.json says nothing. Without
/// any settings all layers are floats. InvalidArgument names what is not supported, what is, and
/// the file.
Result<HfQuantization> parse_hf_quantization(const JsonConfig& config, const JsonConfig* modelopt);

}  // namespace mokume
