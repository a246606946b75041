// The families of models that can be written, and what GGUF and Hugging Face call their parts.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "quantize/part.h"

namespace mokume {

/// What a checkpoint format assumes about the numbers of a family's tensors, where the formats
/// differ.
struct Conventions {
  bool rope_interleaved = false;    ///< rows of q and k: pairs are neighbours, otherwise halves
  bool tiled_heads = false;         ///< value head h reads key head h % key_heads
  bool zero_centred_norms = false;  ///< norms hold w - 1, but for the delta net's own
  bool log_decay = false;           ///< decay rates are held as A_log = log(-rate)
};

struct Family {
  std::string_view gguf;        ///< general.architecture
  std::string_view model_type;  ///< of config.json
  std::string_view hf_class;    ///< "LlamaForCausalLM"
  Conventions in_gguf, in_hf;
  bool qkv_bias = false;  ///< q, k and v always have biases; otherwise attention_bias says it
};

/// The family of a loaded model, by ModelSpec::architecture; Unimplemented lists the known ones.
Result<Family> find_family(std::string_view architecture);

/// A matrix without ".weight", a vector in full: "model.layers.3.self_attn.q_proj".
std::string hf_name(const Part& part);
/// "blk.3.attn_q".
std::string gguf_name(const Part& part, const Family& family);

}  // namespace mokume
