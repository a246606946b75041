// A config.json, or ModelOpt's hf_quant_config.json, of arbitrary bytes: which layers are
// quantized.
#include <cstdint>
#include <string_view>

#include "model/hf_quantization.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config =
      mokume::JsonConfig::from_text({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!config.ok()) return 0;
  const auto quantization = mokume::parse_hf_quantization(*config, &*config);
  if (!quantization.ok()) return 0;
  for (const std::string_view module : {"lm_head", "model.layers.0.mlp.up_proj",
                                        "model.language_model.layers.31.linear_attn.in_proj_a"}) {
    (void)quantization->scheme_of(module);
  }
  return 0;
}
