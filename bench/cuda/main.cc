// What the CUDA kernels of a decode step would cost a GPU, counted and not timed: by the executor
// of kernels/simt on layers of true size, and from the compiler's report. No GPU is needed.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "bench/cuda/launch_sizes.h"
#include "bench/cuda/layer_model.h"
#include "bench/cuda/layers.h"
#include "bench/cuda/observed_gpu.h"
#include "bench/cuda/ptxas.h"
#include "quantize/synthetic_model.h"

namespace mokume::bench {
namespace {

using namespace cuda;

struct Options {
  std::string filter;
  std::string ptxas;
  DecodeShape shape;
  bool json = false;
};

struct LayerCase {
  const char* name;
  const char* model;
  int layer;
  int count;  ///< such layers of the model
};
constexpr LayerCase kLayers[] = {{"Qwen3.5-9B delta net", "qwen3.5-9b", 0, 24},
                                 {"Qwen3.5-9B attention", "qwen3.5-9b", 3, 8},
                                 {"Llama-3.1-8B", "llama-3.1-8b", 0, 32}};
constexpr Format kFormatsShown[] = {Format::kF16, Format::kInt8, Format::kNvfp4};

/// An op, or all of a layer together.
struct Row {
  std::string layer, format, op;
  simt::Counters counted;
  double least_bytes = 0;
  double moved_bytes() const {
    return static_cast<double>(counted.read_bytes + counted.written_bytes);
  }
  double moved_over_least() const { return moved_bytes() / least_bytes; }
  double barriers() const {
    return static_cast<double>(counted.block_barriers) / static_cast<double>(counted.blocks);
  }
};

struct Counted {
  std::vector<Row> ops;
  Row layer, plain;  ///< what the layer takes, and what it takes one kernel an op
};

/// One step on a GPU of its own.
template <typename Make>
Result<std::vector<Op>> step_once(const StageOptions& options, const DecodeShape& shape,
                                  const Make& make) {
  SimulatedOptions simulated;
  simulated.check = false;
  ObservedGpu gpu(simulated, shape.positions);
  MKM_ASSIGN_OR_RETURN(const std::unique_ptr<Layers> layers, make(options, gpu));
  MKM_ASSIGN_OR_RETURN(const Held held, held_by(options));
  gpu.watch_largest(held.extent);
  const auto hidden = static_cast<size_t>(options.model->spec.hidden_size);
  std::vector<float> in(hidden * static_cast<size_t>(shape.tokens)), out(in.size());
  MKM_RETURN_IF_ERROR(layers->step(shape, in.data(), out.data()));
  return gpu.take_ops();
}

Result<Counted> count(const LayerCase& layer, Format format, const DecodeShape& shape) {
  std::fprintf(stderr, "\r\033[K%s %s", layer.name, name_of(format));
  MKM_ASSIGN_OR_RETURN(const SyntheticShape synthetic, find_shape(layer.model));
  MKM_ASSIGN_OR_RETURN(const auto model, make_layer_model(synthetic, 4, format));
  const StageOptions options = layer_options(model, layer.layer, layer.layer + 1, shape.tokens);
  Counted result;
  result.layer = {layer.name, name_of(format), "= the layer", {}, 0};
  result.plain = {layer.name, name_of(format), "one kernel an op", {}, 0};
  MKM_ASSIGN_OR_RETURN(const std::vector<Op> ops, step_once(options, shape, make_product_layers));
  for (const Op& op : ops) {
    if (!op.least_bytes) return internal_error("bench", "what ", op.name, " moves is not known");
    result.ops.push_back({layer.name, name_of(format), op.name, op.counted, *op.least_bytes});
    result.layer.counted.add(op.counted);
    result.layer.least_bytes += *op.least_bytes;
  }
  const auto make = [](const StageOptions& of, Gpu& gpu) {
    return make_plain_layers(of, gpu, bench_kernels_simt());
  };
  MKM_ASSIGN_OR_RETURN(const std::vector<Op> plain, step_once(options, shape, make));
  for (const Op& op : plain) result.plain.counted.add(op.counted);
  result.plain.least_bytes = result.layer.least_bytes;
  std::fprintf(stderr, "\r\033[K");
  return result;
}

nlohmann::ordered_json to_json(const Row& row) {
  const simt::Counters& c = row.counted;
  return {{"layer", row.layer},
          {"weights", row.format},
          {"op", row.op},
          {"launches", c.launches},
          {"blocks", c.blocks},
          {"read_bytes", c.read_bytes},
          {"written_bytes", c.written_bytes},
          {"activation_bytes", c.watched_bytes},
          {"least_bytes", row.least_bytes},
          {"moved_over_least", row.moved_over_least()},
          {"sector_efficiency", c.sector_efficiency()},
          {"bank_ways", c.bank_ways()},
          {"barriers_per_block", row.barriers()},
          {"shared_bytes", c.shared_bytes}};
}

void print(const Row& row) {
  const simt::Counters& c = row.counted;
  std::printf("%-21s %-6s %-17s %2llu %7llu %9.3f %8.1f %6.3f %6.1f%% %5.2f %8.1f %7.1f\n",
              row.layer.c_str(), row.format.c_str(), row.op.c_str(),
              static_cast<unsigned long long>(c.launches),
              static_cast<unsigned long long>(c.blocks), row.moved_bytes() / 1e6,
              static_cast<double>(c.watched_bytes) / 1e3, row.moved_over_least(),
              100 * c.sector_efficiency(), c.bank_ways(), row.barriers(),
              static_cast<double>(c.shared_bytes) / 1024);
}

/// A decode step of all the model's layers against the same one kernel an op.
struct Comparison {
  uint64_t launches = 0, activation_bytes = 0, plain_launches = 0, plain_activation_bytes = 0;
  void add(const Counted& counted, int layers) {
    const auto times = static_cast<uint64_t>(layers);
    launches += times * counted.layer.counted.launches;
    activation_bytes += times * counted.layer.counted.watched_bytes;
    plain_launches += times * counted.plain.counted.launches;
    plain_activation_bytes += times * counted.plain.counted.watched_bytes;
  }
  double share_of_launches() const {
    return static_cast<double>(launches) / static_cast<double>(plain_launches);
  }
  double share_of_activations() const {
    return static_cast<double>(activation_bytes) / static_cast<double>(plain_activation_bytes);
  }
};
/// By model and format.
using Comparisons = std::map<std::pair<std::string, std::string>, Comparison>;

void print(const Comparisons& comparisons) {
  std::printf("\nlayers of a decode step, against one kernel an op with the same activations\n");
  std::printf("%-14s %-6s %8s %7s %6s %14s %9s %6s\n", "model", "weight", "launches", "plain",
              "share", "activation KB", "plain", "share");
  for (const auto& [of, c] : comparisons) {
    std::printf("%-14s %-6s %8llu %7llu %6.3f %14.1f %9.1f %6.3f\n", of.first.c_str(),
                of.second.c_str(), static_cast<unsigned long long>(c.launches),
                static_cast<unsigned long long>(c.plain_launches), c.share_of_launches(),
                static_cast<double>(c.activation_bytes) / 1e3,
                static_cast<double>(c.plain_activation_bytes) / 1e3, c.share_of_activations());
  }
}

nlohmann::ordered_json to_json(const Comparisons& comparisons) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const auto& [of, c] : comparisons) {
    all.push_back({{"model", of.first},
                   {"weights", of.second},
                   {"launches", c.launches},
                   {"plain_launches", c.plain_launches},
                   {"share_of_launches", c.share_of_launches()},
                   {"activation_bytes", c.activation_bytes},
                   {"plain_activation_bytes", c.plain_activation_bytes},
                   {"share_of_activation_bytes", c.share_of_activations()}});
  }
  return all;
}

using Sizes = std::map<std::string, LaunchSize>;

double occupancy_of(const CompiledKernel& k, const Sizes& sizes) {
  const LaunchSize& size = sizes.at(k.base);
  return occupancy(k.arch, k.registers, size.threads,
                   static_cast<size_t>(k.shared_bytes) + size.shared_bytes);
}

void print_compiled(const std::vector<CompiledKernel>& kernels, const Sizes& sizes) {
  std::printf("\n%-8s %-64s %9s %6s %6s %9s %9s %9s\n", "arch", "kernel", "registers", "stack",
              "spills", "shared", "+dynamic", "occupancy");
  for (const CompiledKernel& k : kernels) {
    std::printf("%-8s %-64s %9d %6d %6d %9d %9zu %8.0f%%\n", k.arch.c_str(), k.name.c_str(),
                k.registers, k.stack_bytes, k.spill_store_bytes + k.spill_load_bytes,
                k.shared_bytes, sizes.at(k.base).shared_bytes, 100 * occupancy_of(k, sizes));
  }
  std::printf(
      "+dynamic, occupancy: the most shared memory that a launch on the two models takes\n");
}

nlohmann::ordered_json to_json(const CompiledKernel& k, const Sizes& sizes) {
  return {{"arch", k.arch},
          {"kernel", k.name},
          {"registers", k.registers},
          {"stack_bytes", k.stack_bytes},
          {"spill_store_bytes", k.spill_store_bytes},
          {"spill_load_bytes", k.spill_load_bytes},
          {"static_shared_bytes", k.shared_bytes},
          {"dynamic_shared_bytes", sizes.at(k.base).shared_bytes},
          {"threads", sizes.at(k.base).threads},
          {"occupancy", occupancy_of(k, sizes)}};
}

/// Every kernel of the log, by name and GPU. InvalidArgument where there is none, and where nobody
/// knows how one is launched.
Result<std::vector<CompiledKernel>> compiled_kernels(const std::string& path, const Sizes& sizes) {
  std::ifstream log(path);
  std::vector<CompiledKernel> kernels = read_ptxas(log);
  if (kernels.empty()) {
    return invalid_argument("bench", path, " has no report of ptxas: it is the log of a build of ",
                            "mokume_kernels_cuda in which every file was compiled");
  }
  for (const CompiledKernel& kernel : kernels) {
    if (!sizes.contains(kernel.base)) {
      return invalid_argument("bench", "bench/cuda/launch_sizes.cc launches no ", kernel.name);
    }
  }
  std::stable_sort(kernels.begin(), kernels.end(), [](const auto& a, const auto& b) {
    return std::tie(a.name, a.arch) < std::tie(b.name, b.arch);
  });
  return kernels;
}

Status run(const Options& options) {
  const Sizes sizes = launch_sizes();
  std::vector<CompiledKernel> compiled;
  if (!options.ptxas.empty()) {
    MKM_ASSIGN_OR_RETURN(compiled, compiled_kernels(options.ptxas, sizes));
  }
  if (!options.json) {
    std::printf("decode of %d sequence(s) at position %d, counted by the executor, one layer\n",
                options.shape.tokens, options.shape.positions - 1);
    std::printf("%-21s %-6s %-17s %2s %7s %9s %8s %6s %7s %5s %8s %7s\n", "layer", "weight", "op",
                "L", "blocks", "MB moved", "act. KB", "/least", "sectors", "ways", "barriers",
                "sh. KiB");
  }
  Comparisons comparisons;
  nlohmann::ordered_json ops = nlohmann::ordered_json::array(), layers = ops, kernels = ops;
  for (const LayerCase& layer : kLayers) {
    for (const Format format : kFormatsShown) {
      const std::string name = std::string(layer.name) + " " + name_of(format);
      if (name.find(options.filter) == std::string::npos) continue;
      MKM_ASSIGN_OR_RETURN(const Counted counted, count(layer, format, options.shape));
      for (const Row& row : counted.ops) options.json ? ops.push_back(to_json(row)) : print(row);
      for (const Row* row : {&counted.layer, &counted.plain}) {
        options.json ? layers.push_back(to_json(*row)) : print(*row);
      }
      comparisons[{layer.model, name_of(format)}].add(counted, layer.count);
      std::fflush(stdout);
    }
  }
  if (!options.json) {
    if (!comparisons.empty())
      std::printf(
          "L: launches. act. KB: of activations. /least: bytes moved over the least possible (of "
          "the "
          "product's\nops). barriers: of a block\n");
    if (!comparisons.empty()) print(comparisons);
    if (!compiled.empty()) print_compiled(compiled, sizes);
    return absl::OkStatus();
  }
  for (const CompiledKernel& kernel : compiled) kernels.push_back(to_json(kernel, sizes));
  const nlohmann::ordered_json report = {{"tokens", options.shape.tokens},
                                         {"positions", options.shape.positions},
                                         {"ops", ops},
                                         {"layers", layers},
                                         {"steps", to_json(comparisons)},
                                         {"kernels", kernels}};
  std::printf("%s\n", report.dump(2).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace mokume::bench

int main(int argc, char** argv) {
  mokume::bench::Options options;
  CLI::App app("Counts what a decode step of the CUDA kernels moves, on layers of true size");
  app.add_option("--filter", options.filter,
                 "Only layers that contain this, as \"Llama-3.1-8B f16\"");
  app.add_option("--tokens", options.shape.tokens, "Sequences of the step")
      ->check(CLI::Range(1, mokume::cuda::kMaxDecodeTokens));
  app.add_option("--positions", options.shape.positions, "Of each sequence, the new one included")
      ->check(CLI::Range(1, 4096));
  app.add_option("--ptxas", options.ptxas,
                 "Log of a build of mokume_kernels_cuda: registers, spills and occupancy from it")
      ->check(CLI::ExistingFile);
  app.add_flag("--json", options.json, "One JSON object");
  CLI11_PARSE(app, argc, argv);
  const mokume::Status status = mokume::bench::run(options);
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
