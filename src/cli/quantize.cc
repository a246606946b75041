#include "cli/quantize.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "cli/catch_signals.h"
#include "cli/eval.h"
#include "cli/files.h"
#include "cli/progress.h"
#include "cli/quantize_report.h"
#include "device/cpu/cpu_device.h"
#include "quantize/calibrator.h"
#include "quantize/quantize.h"

namespace mokume {
namespace {

Result<WeightFormat> parse_format(const std::string& name) {
  const std::optional<WeightFormat> format = weight_format_of(name);
  if (format && *format != WeightFormat::kKeep) return *format;
  return invalid_argument("cli", "--format is ", quote(name),
                          "; must be int8, fp16, bf16, nvfp4 or q8_0");
}

int thread_count(int asked) {
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Status check_command(const QuantizeCommand& command) {
  if (!command.calibrate.empty() && command.format != "nvfp4")
    return invalid_argument("cli", "--calibrate is for --format nvfp4");
  if (!command.text.empty() && command.report.empty())
    return invalid_argument("cli", "--text is what --report measures on; give --report DIR");
  return absl::OkStatus();
}

/// A calibrator and the device that it runs the model on.
struct Calibration {
  std::unique_ptr<Device> device;
  Calibrator calibrator;
  int tokens = 0;
};

Result<Calibration> calibrate(const QuantizeCommand& command, const LoadedModel& model,
                              int threads) {
  MKM_ASSIGN_OR_RETURN(const std::string text, read_file(command.calibrate, kMaxTextBytes));
  if (!model.tokenizer)
    return invalid_argument("cli", command.input, " has no tokenizer, which --calibrate needs");
  MKM_ASSIGN_OR_RETURN(std::vector<int32_t> ids, model.tokenizer->encode(text, {}));
  const auto most = static_cast<size_t>(command.calibration_tokens);
  if (ids.size() > most) ids.resize(most);
  CpuDeviceOptions cpu;
  cpu.threads = threads;
  MKM_ASSIGN_OR_RETURN(std::unique_ptr<Device> device, make_cpu_device(cpu));
  CalibrationOptions options;
  options.threads = threads;
  MKM_ASSIGN_OR_RETURN(Calibrator calibrator,
                       Calibrator::create(model.model, *device, ids, options));
  return Calibration{std::move(device), std::move(calibrator), static_cast<int>(ids.size())};
}

void report(const QuantizeCommand& command, const QuantizeSummary& summary, double seconds,
            std::ostream& out) {
  if (command.json) {
    out << nlohmann::ordered_json{{"input", command.input},
                                  {"output", command.output},
                                  {"format", command.format},
                                  {"bytes_before", summary.bytes_before},
                                  {"bytes_after", summary.bytes_after},
                                  {"tensors", summary.tensors},
                                  {"tokenizer", summary.has_tokenizer},
                                  {"seconds", seconds}}
               .dump(2)
        << '\n';
    return;
  }
  char took[32];
  std::snprintf(took, sizeof(took), "%.1f s", seconds);
  out << command.output << ": " << summary.tensors << " tensors, "
      << format_bytes(summary.bytes_before) << " -> " << format_bytes(summary.bytes_after) << " in "
      << took << '\n';
}

}  // namespace

Status run_quantize(const QuantizeCommand& command, std::ostream& out) {
  MKM_RETURN_IF_ERROR(check_command(command));
  QuantizeOptions options;
  options.input = command.input;
  options.output = command.output;
  MKM_ASSIGN_OR_RETURN(options.format, parse_format(command.format));
  options.threads = thread_count(command.threads);
  MKM_ASSIGN_OR_RETURN(const LoadedModel model, load_model(command.input));
  const CatchSignals signals;
  std::optional<Calibration> calibration;
  if (!command.calibrate.empty()) {
    MKM_ASSIGN_OR_RETURN(calibration, calibrate(command, model, options.threads));
    options.encoder = [&](const EncodeJob& job) { return calibration->calibrator.encode(job); };
  }
  options.cancelled = CatchSignals::asked_to_stop;
  ProgressBar bar("quantizing", command.progress);
  options.progress = [&](uint64_t done, uint64_t total) {
    constexpr uint64_t kMiB = 1 << 20;
    bar.update(static_cast<int>(done / kMiB),
               static_cast<int>(std::max(total / kMiB, kMiB / kMiB)));
  };
  const auto start = std::chrono::steady_clock::now();
  MKM_ASSIGN_OR_RETURN(const QuantizeSummary summary, quantize(options, model));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (!summary.has_tokenizer) {
    log().warn("{} has no tokenizer: the model takes and gives token ids only", command.output);
  }
  report(command, summary, took.count(), out);
  if (command.report.empty()) return absl::OkStatus();
  return write_quantize_report(
      {command, summary, model, options.threads, calibration ? calibration->tokens : 0});
}

}  // namespace mokume
