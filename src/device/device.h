// A device: something that can hold a run of layers and step them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/status.h"
#include "device/stage.h"
#include "model/model_spec.h"
#include "tensor/activations.h"
#include "tensor/kv_type.h"
#include "tensor/weight_format.h"

namespace mokume {

struct DeviceInfo {
  std::string name;           ///< from the configuration, "cpu0"
  std::string kind;           ///< "cpu"
  std::string description;    ///< "2 threads, avx512-vnni"
  uint64_t memory_bytes = 0;  ///< that stages may use
};

/// Linear layers that a stage is about to multiply with a common input.
struct LinearInputs {
  std::span<const Linear* const> linears;
  std::span<const float> x;         ///< [tokens, K]
  std::span<const float> added_to;  ///< [tokens, N]: what the product is added to; empty if nothing
  int tokens = 0;
};

/// Called on the stage's own thread, in every step, before linear layers are multiplied. False: no
/// more is wanted of this step; its other products are left out and its output means nothing.
using LinearObserver = std::function<bool(const LinearInputs& inputs)>;

/// What a stage is made of. Weights are read through the views of `model`, which the stage keeps
/// alive.
struct StageOptions {
  std::shared_ptr<const Model> model;
  int first_layer = 0;  ///< [first_layer, last_layer)
  int last_layer = 0;
  bool has_embedding = false;  ///< input is token ids, not hidden states
  bool has_head = false;       ///< output is logits, not hidden states
  bool exact = false;          ///< activations and KV in F32; NVFP4 of directories as BF16
  WeightFormat weights = WeightFormat::kKeep;  ///< what the layers' weights are converted to
  Activations activations =
      Activations::kAuto;    ///< what products round their inputs to; nothing of it where `exact`
  std::optional<KvType> kv;  ///< what keys and values are kept as; empty: the device's own choice
  int kv_pages = 0;          ///< pages of this stage's KV cache
  int page_tokens = 16;      ///< tokens a page; a multiple of 16
  int state_slots = 0;       ///< sequences that have recurrent states at the same time
  int max_tokens = 0;        ///< most tokens of one step
  int max_logit_rows = 0;    ///< most rows of logits of one step
  std::function<void(int layers_done, int layers)>
      progress;            ///< while weights are loaded; may be empty
  LinearObserver observe;  ///< for calibration and tests; may be empty

  /// `own_choice` is the device's.
  KvType kv_type(KvType own_choice) const { return exact ? KvType::kF32 : kv.value_or(own_choice); }
};

/// Thread-safe; outlives every stage it made.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const = 0;
  /// Loads the weights and allocates everything a step needs. ResourceExhausted says how much is
  /// missing.
  virtual Result<std::unique_ptr<Stage>> make_stage(const StageOptions& options) = 0;
};

}  // namespace mokume
