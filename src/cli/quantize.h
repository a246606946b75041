// mokume quantize: a checkpoint in another format.
#pragma once

#include <ostream>
#include <string>

#include "base/status.h"

namespace mokume {

struct QuantizeCommand {
  std::string input, output;
  std::string format;              ///< as users write it
  std::string calibrate;           ///< a text for calibration; empty: none
  int calibration_tokens = 32768;  ///< at most so many of that text
  std::string report;              ///< the folder of a report; empty: none
  std::string text;                ///< for the report's perplexities; empty: none
  int context = 512;               ///< tokens of a chunk of that text
  int threads = 0;                 ///< 0: all cores
  bool json = false;
  bool progress = false;
};

/// Until it returns, SIGINT and SIGTERM stop the work instead of the process: what was begun is
/// removed.
Status run_quantize(const QuantizeCommand& command, std::ostream& out);

}  // namespace mokume
