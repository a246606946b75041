// mokume quantize: a checkpoint in another format.
#pragma once

#include <ostream>
#include <string>

#include "base/status.h"

namespace mokume {

struct QuantizeCommand {
  std::string input, output;
  std::string format;  ///< as users write it
  int threads = 0;     ///< 0: all cores
  bool json = false;
  bool progress = false;
};

/// Until it returns, SIGINT and SIGTERM stop the work instead of the process: what was begun is
/// removed.
Status run_quantize(const QuantizeCommand& command, std::ostream& out);

}  // namespace mokume
