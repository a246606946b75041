// What /metrics shows, in Prometheus' text format.
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"

namespace mokume {

/// Thread-safe. The observe_ methods are the engine's EngineObserver callbacks; everything else
/// comes from EngineStats.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  void observe_time_to_first_token(double seconds);
  void observe_time_between_tokens(double seconds);
  std::string render(const EngineStats& stats) const;

 private:
  struct Histograms;
  std::unique_ptr<Histograms> histograms_;
};

}  // namespace mokume
