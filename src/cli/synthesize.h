// `mokume synthesize`: a checkpoint of a true shape with random weights.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "base/status.h"

namespace mokume {

struct SynthesizeCommand {
  std::string shape, output;
  std::string format = "nvfp4";  ///< as users write it
  uint64_t seed = 0;
  int layers = 0;   ///< 0: all
  int threads = 0;  ///< 0: all cores
  bool json = false;
  bool progress = false;
};

/// Until it returns, SIGINT and SIGTERM stop the work instead of the process: what was begun is
/// removed.
Status run_synthesize(const SynthesizeCommand& command, std::ostream& out);

}  // namespace mokume
