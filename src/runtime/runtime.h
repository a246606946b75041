// From a configuration to loaded stages: what the daemon and the tool have in common.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "config/config.h"
#include "device/device.h"
#include "engine/engine.h"
#include "model/load_model.h"
#include "placement/placement.h"

namespace mokume {

/// A model whose layers lie on their devices. Stages are destroyed before the devices they are on.
struct Runtime {
  Config config;
  LoadedModel loaded;
  PlacementPlan plan;
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<std::unique_ptr<Stage>> stages;
  std::vector<std::string> stage_names;  ///< "0:cpu0"

  const ModelSpec& spec() const { return loaded.model->spec; }
};

struct RuntimeOptions {
  bool exact = false;      ///< activations and KV in F32
  int max_logit_rows = 0;  ///< 0: what the engine needs
  /// While weights are loaded, over all stages; may be empty.
  std::function<void(int layers_done, int layers)> progress;
};

/// Opens the model and plans the placement, without loading weights.
Result<Runtime> plan_runtime(const Config& config, bool exact);

/// The whole way: devices made, weights loaded.
Result<Runtime> load_runtime(const Config& config, const RuntimeOptions& options);

/// Takes the stages out of `runtime`, which outlives the engine.
Result<std::unique_ptr<Engine>> make_engine(Runtime& runtime, EngineObserver observer);

}  // namespace mokume
