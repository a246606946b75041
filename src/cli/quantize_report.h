// What a quantization did to a model: sizes, errors, perplexities, as JSON and as a page.
#pragma once

#include "base/status.h"
#include "cli/quantize.h"
#include "model/load_model.h"
#include "quantize/quantize.h"

namespace mokume {

struct QuantizeReportInputs {
  const QuantizeCommand& command;
  const QuantizeSummary& summary;
  const LoadedModel& before;
  int threads = 1;
  int calibration_tokens = 0;
};

/// Reads the output back, compares it with the input matrix by matrix, measures both on
/// command.text, and writes report.json and report.html into command.report, which is made.
Status write_quantize_report(const QuantizeReportInputs& inputs);

}  // namespace mokume
