// Decode steps of a model's layers on a GPU, as the product runs them and one kernel an op, beside
// what the GPU's memory alone gives. With --simulated everything runs, and nothing is timed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/cuda/layer_model.h"
#include "bench/cuda/layers.h"
#include "bench/cuda/rounds.h"
#include "device/cuda/simulated_gpu.h"

namespace mokume::bench {
namespace {

using cuda::Format;

struct Options {
  std::string model = "qwen3.5-9b";
  std::vector<std::string> formats = {"f16", "int8", "nvfp4"};
  DecodeShape shape;
  int gpu = 0, layers = 8, rounds = 5;
  double seconds = 0.3;
  bool simulated = false, json = false;
};

/// For simulated GPUs, to which the published ones are too much.
constexpr SyntheticShape kTiny = {.name = "tiny",
                                  .layers = 4,
                                  .hidden = 128,
                                  .ffn = 192,
                                  .heads = 4,
                                  .kv_heads = 2,
                                  .head_dim = 32,
                                  .vocab = 1000,
                                  .context = 8192,
                                  .theta = 1e4,
                                  .epsilon = 1e-6f,
                                  .key_heads = 1,
                                  .value_heads = 2};

/// Beside the weights: activations, and what the driver keeps for itself.
constexpr uint64_t kMargin = uint64_t{1} << 30;
constexpr uint64_t kMemoryBytes = uint64_t{1} << 30, kSimulatedMemoryBytes = 1 << 16;

Result<Format> format_of(const std::string& name) {
  for (const Format format : {Format::kF16, Format::kInt8, Format::kNvfp4}) {
    if (name == name_of(format)) return format;
  }
  return invalid_argument("bench", "no format ", name, "; there are f16, int8 and nvfp4");
}

nlohmann::ordered_json to_json(const Spread& spread) {
  return {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}};
}

class Bench {
 public:
  Bench(const Options& options, cuda::Gpu& gpu, const BenchKernels& kernels)
      : options_(options), gpu_(gpu), kernels_(kernels) {}

  Result<nlohmann::ordered_json> run() {
    nlohmann::ordered_json report = {{"gpu", gpu_.info().name},
                                     {"simulated", options_.simulated},
                                     {"model", options_.model},
                                     {"layers", options_.layers},
                                     {"sequences", options_.shape.tokens},
                                     {"positions", options_.shape.positions}};
    say("memory");
    const uint64_t bytes = options_.simulated ? kSimulatedMemoryBytes : kMemoryBytes;
    MKM_ASSIGN_OR_RETURN(const MemoryRates rates,
                         measure_memory(gpu_, kernels_, bytes, options_.rounds, round_seconds()));
    if (!options_.simulated) {
      read_rate_ = rates.read.median;
      report["memory_read_bytes_per_second"] = to_json(rates.read);
      report["memory_copy_bytes_per_second"] = to_json(rates.copy);
    }
    report["steps"] = report["left_out"] = nlohmann::ordered_json::array();
    for (const std::string& name : options_.formats) {
      say(name);
      MKM_RETURN_IF_ERROR(add_format(name, report));
    }
    std::fprintf(stderr, "\r\033[K");
    return report;
  }

 private:
  /// Of a simulated GPU: one call.
  double round_seconds() const { return options_.simulated ? 0 : options_.seconds; }
  void say(const std::string& what) const {
    std::fprintf(stderr, "\r\033[Kmeasuring %s", what.c_str());
  }

  Status add_format(const std::string& name, nlohmann::ordered_json& report) {
    MKM_ASSIGN_OR_RETURN(const Format format, format_of(name));
    SyntheticShape shape = kTiny;
    if (options_.model != kTiny.name) {
      MKM_ASSIGN_OR_RETURN(shape, find_shape(options_.model));
    }
    MKM_ASSIGN_OR_RETURN(const auto model, make_layer_model(shape, options_.layers, format));
    const StageOptions stage =
        layer_options(model, 0, static_cast<int>(model->spec.layers.size()), options_.shape.tokens);
    MKM_ASSIGN_OR_RETURN(const Held held, held_by(stage));
    MKM_ASSIGN_OR_RETURN(const uint64_t free_bytes, gpu_.free_memory());
    if (2 * held.extent + kMargin > free_bytes) {
      report["left_out"].push_back(
          {{"weights", name},
           {"why", str_cat("twice ", held.extent >> 20, " MiB and 1 GiB beside are more than the ",
                           free_bytes >> 20, " MiB that are free")}});
      return absl::OkStatus();
    }
    MKM_ASSIGN_OR_RETURN(const auto product, make_product_layers(stage, gpu_));
    MKM_ASSIGN_OR_RETURN(const auto plain, make_plain_layers(stage, gpu_, kernels_));
    std::vector<float> in(static_cast<size_t>(model->spec.hidden_size) *
                          static_cast<size_t>(options_.shape.tokens)),
        out(in.size());
    const auto work = [&](Layers& layers) {
      return [&] { return layers.step(options_.shape, in.data(), out.data()); };
    };
    MKM_ASSIGN_OR_RETURN(const auto times, measure_in_turn({work(*product), work(*plain)},
                                                           options_.rounds, round_seconds()));
    const double bytes = held.bytes_of_step(stage, options_.shape);
    nlohmann::ordered_json step = {{"weights", name}, {"bytes", bytes}};
    if (!options_.simulated) add_times(times, bytes, step);
    report["steps"].push_back(step);
    return absl::OkStatus();
  }

  void add_times(const std::vector<std::vector<double>>& times, double bytes,
                 nlohmann::ordered_json& step) const {
    std::vector<double> ratios;
    for (size_t r = 0; r < times[0].size(); ++r) ratios.push_back(times[1][r] / times[0][r]);
    step["product_seconds"] = to_json(spread_of(times[0]));
    step["plain_seconds"] = to_json(spread_of(times[1]));
    step["plain_over_product"] = to_json(spread_of(ratios));
    step["share_of_memory"] = bytes / spread_of(times[0]).median / read_rate_;
  }

  const Options& options_;
  cuda::Gpu& gpu_;
  const BenchKernels& kernels_;
  double read_rate_ = 0;
};

void print(const nlohmann::ordered_json& report) {
  const bool timed = !report["simulated"].get<bool>();
  std::printf("%s, %d layers of %s, %d sequence(s) at position %d\n",
              report["gpu"].get<std::string>().c_str(), report["layers"].get<int>(),
              report["model"].get<std::string>().c_str(), report["sequences"].get<int>(),
              report["positions"].get<int>() - 1);
  if (timed) {
    std::printf("memory: %.0f GB/s read, %.0f GB/s copied\n",
                report["memory_read_bytes_per_second"]["median"].get<double>() / 1e9,
                report["memory_copy_bytes_per_second"]["median"].get<double>() / 1e9);
  }
  for (const auto& step : report["steps"]) {
    std::printf("%-6s %9.1f MB", step["weights"].get<std::string>().c_str(),
                step["bytes"].get<double>() / 1e6);
    if (timed) {
      std::printf(
          "  %8.1f us, %3.0f%% of memory; one kernel an op %8.1f us, %.2f times (%.2f-%.2f)",
          1e6 * step["product_seconds"]["median"].get<double>(),
          100 * step["share_of_memory"].get<double>(),
          1e6 * step["plain_seconds"]["median"].get<double>(),
          step["plain_over_product"]["median"].get<double>(),
          step["plain_over_product"]["min"].get<double>(),
          step["plain_over_product"]["max"].get<double>());
    }
    std::printf("\n");
  }
  for (const auto& left : report["left_out"]) {
    std::printf("%-6s left out: %s\n", left["weights"].get<std::string>().c_str(),
                left["why"].get<std::string>().c_str());
  }
}

Status run(const Options& options) {
  std::unique_ptr<cuda::Gpu> gpu;
  const BenchKernels* kernels = nullptr;
  if (options.simulated) {
    cuda::SimulatedOptions simulated;
    simulated.check = false;  // positions before the step's have never been written
    gpu = cuda::make_simulated_gpu(simulated);
    kernels = &bench_kernels_simt();
  } else {
    MKM_ASSIGN_OR_RETURN(gpu, cuda::open_gpu({options.gpu, ""}, "gpu"));
    kernels = bench_kernels_cuda();
  }
  MKM_ASSIGN_OR_RETURN(const auto report, Bench(options, *gpu, *kernels).run());
  if (options.json) {
    std::printf("%s\n", report.dump(2).c_str());
  } else {
    print(report);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace mokume::bench

int main(int argc, char** argv) {
  mokume::bench::Options options;
  CLI::App app("Times decode steps of layers on a GPU, against one kernel an op");
  app.add_option("--gpu", options.gpu, "Index of the GPU")->check(CLI::Range(0, 255));
  app.add_flag("--simulated", options.simulated, "A simulated GPU, of which nothing is timed");
  app.add_option("--model", options.model, "A shape that mokume synthesize knows, or tiny");
  app.add_option("--formats", options.formats, "f16, int8, nvfp4")->delimiter(',');
  app.add_option("--layers", options.layers, "The first so many")->check(CLI::Range(1, 128));
  app.add_option("--sequences", options.shape.tokens, "Of the step")
      ->check(CLI::Range(1, mokume::cuda::kMaxDecodeTokens));
  app.add_option("--positions", options.shape.positions, "Of each sequence, the new one included")
      ->check(CLI::Range(1, 4096));
  app.add_option("--rounds", options.rounds, "In each of which either is measured")
      ->check(CLI::Range(1, 100));
  app.add_option("--seconds", options.seconds, "Of either in a round")
      ->check(CLI::Range(0.01, 10.0));
  app.add_flag("--json", options.json, "One JSON object");
  CLI11_PARSE(app, argc, argv);
  const mokume::Status status = mokume::bench::run(options);
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
