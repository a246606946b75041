// Models of a published shape without their weights: what `mokume synthesize` fills with numbers.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "model/load_model.h"

namespace mokume {

/// What distinguishes the shapes. Those with `key_heads` are Qwen3.5's hybrids: attention in every
/// fourth layer, delta nets in the others; the rest are Llama 3.1's.
struct SyntheticShape {
  std::string_view name;
  int layers, hidden, ffn, heads, kv_heads, head_dim, vocab, context;
  double theta;
  float epsilon;
  bool tied = false;
  int key_heads = 0, value_heads = 0;

  bool is_hybrid() const { return key_heads != 0; }
};

/// InvalidArgument for an unknown name.
Result<SyntheticShape> find_shape(std::string_view name);
/// "qwen3.5-9b, qwen3.5-0.8b, llama-3.1-8b"
std::string known_shapes();

/// A model of that shape, with its first `layers` layers (0: all of them). Vectors (norms,
/// convolutions, decay rates) hold seeded numbers like those a training starts from; matrices have
/// their shape alone: their views must not be read. The tokenizer has a text for every id, words
/// that mean nothing, and the family's chat template. InvalidArgument for a number of layers that
/// the shape has not got.
Result<LoadedModel> make_synthetic_model(const SyntheticShape& shape, int layers, uint64_t seed);

}  // namespace mokume
