// Qwen3: a norm on every head of q and k before the rope, whose pairs are half a head apart.
#include "model/gguf_decoder.h"
#include "model/load_spec.h"

namespace mokume {

Result<ModelSpec> load_qwen3(const GgufFile& file) {
  return load_gguf_decoder(file, {.architecture = "qwen3", .qk_norm = true});
}

}  // namespace mokume
