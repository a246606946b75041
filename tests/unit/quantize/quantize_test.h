// Quantizing checkpoints of tests/data into a directory of the test's own.
#pragma once

#include <string>

#include "../weights/writer_support.h"
#include "quantize/quantize.h"

namespace mokume::testing {

inline std::string checkpoint(const std::string& folder, const std::string& name) {
  return MOKUME_SOURCE_DIR "/tests/data/" + folder + "/" + name;
}

class QuantizeTest : public WritingTest {
 protected:
  static Result<QuantizeSummary> run(QuantizeOptions options) {
    MKM_ASSIGN_OR_RETURN(const LoadedModel model, load_model(options.input));
    return quantize(options, model);
  }
  static Result<QuantizeSummary> run(const std::string& input, const std::string& output,
                                     WeightFormat format) {
    QuantizeOptions options;
    options.input = input;
    options.output = output;
    options.format = format;
    options.threads = 2;
    return run(options);
  }
};

}  // namespace mokume::testing
