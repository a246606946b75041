// What config.json and GGUF's keys say about a model as a whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/model_spec.h"
#include "quantize/family.h"

namespace mokume {

/// Points into the spec.
struct ModelFacts {
  const Attention* attention = nullptr;  ///< of the first layer that has one; never null
  const DeltaNet* delta = nullptr;       ///< likewise; null in models without
  std::vector<bool> attends;             ///< a layer: attention, otherwise delta net
  int attention_interval = 1;  ///< layer i has attention where (i + 1) is a multiple of this
  int ffn_hidden = 0;
  float epsilon = 0;
  bool attention_bias = false;  ///< q, k, v and o have biases (q, k and v alone in families with
                                ///< Family::qkv_bias)
  bool ffn_bias = false;
};

/// Unimplemented when layers differ in a way that no configuration of the family can say.
Result<ModelFacts> facts_of(const ModelSpec& spec, const Family& family);

/// The double that reads like the float: 1e-05, not 9.999999747378752e-06.
double shortest_double(float value);

/// Ids that both kinds of checkpoint name.
struct TokenIds {
  std::optional<int64_t> bos, padding, unknown;
  std::vector<int64_t> eos;  ///< whatever ends an answer, the usual one first
};

}  // namespace mokume
