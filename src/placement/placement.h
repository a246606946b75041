// Which device runs which layers: a pure function of the model, the devices and the configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "model/model_spec.h"
#include "tensor/activations.h"
#include "tensor/kv_type.h"
#include "tensor/weight_format.h"

namespace mokume {

struct StageSpec {
  std::string device;
  int first_layer = 0;  ///< [first_layer, last_layer)
  int last_layer = 0;
  uint64_t weight_bytes = 0;  ///< as stored, or as converted; embedding and head included where the
                              ///< stage holds them
  KvType kv = kCpuKvType;     ///< what keys and values are kept as
  uint64_t kv_page_bytes = 0;  ///< one page over this stage's layers
  uint64_t state_bytes = 0;    ///< recurrent states of one sequence in this stage's layers
  WeightFormat weights = WeightFormat::kKeep;    ///< what the layers are converted to
  Activations activations = Activations::kAuto;  ///< what products round their inputs to
};

/// Covers every layer exactly once, in order.
struct PlacementPlan {
  std::vector<StageSpec> stages;
  int kv_pages = 0;
  int page_tokens = 0;
  int max_sequences = 0;   ///< running at once: each stage has a slot of states for every one
  int context_length = 0;  ///< most tokens of one sequence: the model's, or what the KV pages hold
};

/// Errors name the layers that are on no device, or on two, with file and line; a device that is
/// not declared; KV memory too small for one sequence; a type of KV that a device does not keep.
Result<PlacementPlan> plan_placement(const ModelSpec& spec, const Config& config, bool exact);

/// A table for people (`mokumed --check`).
std::string to_string(const PlacementPlan& plan, const ModelSpec& spec);

}  // namespace mokume
