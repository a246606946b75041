// How many bytes layers take, as weights and as KV.
#pragma once

#include <cstdint>
#include <optional>

#include "model/model_spec.h"
#include "tensor/kv_type.h"
#include "tensor/weight_format.h"

namespace mokume {

/// Weights of layers [first, last) as stored, with the embedding where they start the model and the
/// final norm and head where they end it. A tied head counts in both of two stages, once in a stage
/// that holds both ends. With a `format`, the layers' linear layers and the head are counted as
/// converted to it; a tied head that is converted counts beside the embedding.
uint64_t stage_weight_bytes(const ModelSpec& spec, int first_layer, int last_layer,
                            WeightFormat format = WeightFormat::kKeep);

/// Keys and values of `page_tokens` tokens in layers [first, last), with their scales. Empty when
/// it overflows.
std::optional<uint64_t> stage_kv_page_bytes(const ModelSpec& spec, int first_layer, int last_layer,
                                            int page_tokens, KvType type);

/// The recurrent state of one sequence in layers [first, last), F32: what the DeltaNet layers keep
/// beside the KV pages. The sizes a loader lets through cannot overflow it.
uint64_t stage_state_bytes(const ModelSpec& spec, int first_layer, int last_layer);

}  // namespace mokume
