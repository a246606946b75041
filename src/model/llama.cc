// Llama as llama.cpp stores it: the rows of q and k are permuted so that the two elements of a rope
// pair are neighbours.
#include "model/gguf_decoder.h"
#include "model/load_spec.h"

namespace mokume {

Result<ModelSpec> load_llama(const GgufFile& file) {
  return load_gguf_decoder(file, {.architecture = "llama", .rope_interleaved = true});
}

}  // namespace mokume
