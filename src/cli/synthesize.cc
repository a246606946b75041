#include "cli/synthesize.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.h"
#include "cli/catch_signals.h"
#include "cli/progress.h"
#include "quantize/synthesize.h"

namespace mokume {
namespace {

void report(const SynthesizeCommand& command, const SynthesizeSummary& summary, double seconds,
            std::ostream& out) {
  if (command.json) {
    out << nlohmann::ordered_json{{"output", command.output},         {"shape", command.shape},
                                  {"format", command.format},         {"seed", command.seed},
                                  {"parameters", summary.parameters}, {"bytes", summary.bytes},
                                  {"tensors", summary.tensors},       {"seconds", seconds}}
               .dump(2)
        << '\n';
    return;
  }
  char took[32];
  std::snprintf(took, sizeof(took), "%.1f s", seconds);
  out << command.output << ": " << summary.parameters << " random parameters in " << summary.tensors
      << " tensors, " << format_bytes(summary.bytes) << ", in " << took << '\n';
}

}  // namespace

Status run_synthesize(const SynthesizeCommand& command, std::ostream& out) {
  SynthesizeOptions options;
  const std::optional<WeightFormat> format = weight_format_of(command.format);
  if (!format || *format == WeightFormat::kKeep) {
    return invalid_argument("cli", "--format is ", quote(command.format),
                            "; must be int8, fp16, bf16, nvfp4 or q8_0");
  }
  MKM_ASSIGN_OR_RETURN(options.shape, find_shape(command.shape));
  options.output = command.output;
  options.format = *format;
  options.seed = command.seed;
  options.layers = command.layers;
  options.threads = command.threads > 0
                        ? command.threads
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const CatchSignals signals;
  options.cancelled = CatchSignals::asked_to_stop;
  ProgressBar bar("writing MiB", command.progress);
  options.progress = [&](uint64_t done, uint64_t total) {
    bar.update(static_cast<int>(done >> 20), std::max(static_cast<int>(total >> 20), 1));
  };
  const auto start = std::chrono::steady_clock::now();
  MKM_ASSIGN_OR_RETURN(const SynthesizeSummary summary, synthesize(options));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  report(command, summary, took.count(), out);
  return absl::OkStatus();
}

}  // namespace mokume
