// The settings of a quantized checkpoint below one key of a JSON file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/hf_config.h"
#include "model/hf_quantization.h"

namespace mokume {

/// Borrows the file's settings. Errors name the key and the file.
class QuantizationSettings {
 public:
  QuantizationSettings(const JsonConfig& json, std::string prefix)
      : config_(json), prefix_(std::move(prefix)) {}

  const HfConfig& config() const { return config_; }
  const JsonConfig& json() const { return config_.json(); }
  std::string key(std::string_view name) const { return str_cat(prefix_, ".", name); }

  /// Something is at this full key or below it, and is not null.
  bool has_any(const std::string& full_key) const;
  /// The full keys of what lies directly below `full_key`, in order.
  std::vector<std::string> below(const std::string& full_key) const;
  /// An array of strings; empty without the key or with null.
  Result<std::vector<std::string>> list(const std::string& full_key) const;

  /// InvalidArgument that lists what is supported: "<key> "<value>"<note> is not supported; ...".
  Status unsupported(const std::string& full_key, std::string_view value,
                     std::string_view note = "") const;
  /// The same with a text of its own.
  Status unsupported(const std::string& text) const;
  /// Adds key and file to the error of a pattern.
  Status at(const std::string& full_key, const Status& status) const;

 private:
  const HfConfig config_;
  const std::string prefix_;
};

/// compressed-tensors: quantization/quant_config.py, quant_scheme.py, quant_args.py.
Result<HfQuantization> parse_compressed_tensors(const QuantizationSettings& settings);

/// NVIDIA ModelOpt, of either file; `ignored` is the name of the list of layers left out.
Result<HfQuantization> parse_modelopt(const QuantizationSettings& settings,
                                      std::string_view ignored);

}  // namespace mokume
