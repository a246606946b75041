// Qwen2 and Qwen2.5: biases on q, k and v; rope pairs are half a head apart.
#include "model/gguf_decoder.h"
#include "model/load_spec.h"

namespace mokume {

Result<ModelSpec> load_qwen2(const GgufFile& file) {
  return load_gguf_decoder(file, {.architecture = "qwen2", .qkv_bias = true});
}

}  // namespace mokume
