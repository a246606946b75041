// A decoder's hyperparameters and tensors by GGUF's names, the same for every family but for what
// GgufFamily says.
#pragma once

#include <optional>
#include <string>

#include "model/checkpoint.h"
#include "model/decoder.h"
#include "model/model_spec.h"
#include "weights/gguf.h"

namespace mokume {

struct GgufFamily {
  std::string architecture;       ///< general.architecture, the prefix of the keys
  bool rope_interleaved = false;  ///< the two elements of a rope pair are neighbours
  bool qk_norm = false;
  std::optional<bool> qkv_bias;  ///< empty: the tensors say it
  /// Changes what all families have in common to what this one has; null for nothing.
  Status (*refine)(Checkpoint&, DecoderShape&, DecoderNames&) = nullptr;
};

Result<ModelSpec> load_gguf_decoder(const GgufFile& file, const GgufFamily& family);

}  // namespace mokume
