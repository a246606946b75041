// What the CUDA kernels of a decode step would cost a GPU, counted and not timed: by the executor
// of kernels/simt on layers of true size, and from the compiler's report. No GPU is needed.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/cuda/layers.h"
#include "bench/cuda/ptxas.h"
#include "kernels/simt/executor.h"
#include "quantize/synthetic_model.h"

namespace mokume::bench {
namespace {

using cuda::Format;

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
};
constexpr LayerCase kLayers[] = {{"Qwen3.5-9B delta net", "qwen3.5-9b", 0},
                                 {"Qwen3.5-9B attention", "qwen3.5-9b", 3},
                                 {"Llama-3.1-8B", "llama-3.1-8b", 0}};
constexpr Format kFormatsShown[] = {Format::kF16, Format::kInt8, Format::kNvfp4};

/// How a kernel is launched: what its occupancy depends on beside its registers.
struct LaunchSize {
  int threads = 0;
  size_t shared_bytes = 0;  ///< dynamic, the most
};
using LaunchSizes = std::map<std::string, LaunchSize>;

/// Runs what is launched, and remembers how.
class Recorder : public simt::Queue {
 public:
  Recorder(simt::Executor& executor, LaunchSizes& sizes) : executor_(executor), sizes_(sizes) {}
  int submit(const simt::Launch& launch) override {
    LaunchSize& size = sizes_[launch.name];
    size.threads = static_cast<int>(launch.threads);
    size.shared_bytes = std::max(size.shared_bytes, launch.shared_bytes);
    return executor_.run(launch) ? 0 : 1;
  }

 private:
  simt::Executor& executor_;
  LaunchSizes& sizes_;
};

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

Result<std::vector<Row>> count(const LayerCase& layer, Format format, const DecodeShape& shape,
                               LaunchSizes& sizes) {
  MKM_ASSIGN_OR_RETURN(const SyntheticShape synthetic, find_shape(layer.model));
  MKM_ASSIGN_OR_RETURN(const LoadedModel model, make_synthetic_model(synthetic, 4, 1));
  const ModelSpec& spec = model.model->spec;
  simt::Memory memory;
  Arena arena(memory);
  simt::Executor executor(memory, {.check = false});
  Recorder recorder(executor, sizes);
  std::vector<Row> rows;
  for (const Op& op : ops_of(arena, spec.layers[static_cast<size_t>(layer.layer)],
                             static_cast<int>(spec.hidden_size), format, shape)) {
    std::fprintf(stderr, "\r\033[K%s %s %s", layer.name, name_of(format), op.name.c_str());
    executor.reset_counters();
    if (op.run({&recorder}) != 0) return internal_error("bench", op.name, ": ", executor.error());
    rows.push_back({layer.name, name_of(format), op.name, executor.total(), op.least_bytes});
  }
  std::fprintf(stderr, "\r\033[K");
  return rows;
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
          {"least_bytes", row.least_bytes},
          {"moved_over_least", row.moved_over_least()},
          {"sector_efficiency", c.sector_efficiency()},
          {"bank_ways", c.bank_ways()},
          {"barriers_per_block", row.barriers()},
          {"shared_bytes", c.shared_bytes}};
}

void print(const Row& row) {
  const simt::Counters& c = row.counted;
  std::printf("%-21s %-6s %-17s %2llu %7llu %9.3f %6.3f %6.1f%% %5.2f %8.1f %7.1f\n",
              row.layer.c_str(), row.format.c_str(), row.op.c_str(),
              static_cast<unsigned long long>(c.launches),
              static_cast<unsigned long long>(c.blocks), row.moved_bytes() / 1e6,
              row.moved_over_least(), 100 * c.sector_efficiency(), c.bank_ways(), row.barriers(),
              static_cast<double>(c.shared_bytes) / 1024);
}

Row sum_of(const std::vector<Row>& rows) {
  Row sum{rows[0].layer, rows[0].format, "= the layer", {}, 0};
  for (const Row& row : rows) {
    sum.counted.add(row.counted);
    sum.least_bytes += row.least_bytes;
  }
  return sum;
}

/// How it is launched is known of what ran; some kernels have another name than their launch.
const LaunchSize* size_of(const CompiledKernel& kernel, const LaunchSizes& sizes) {
  const std::string name = kernel.base == "products"          ? "matvec"
                           : kernel.base == "attention_piece" ? "attention_decode"
                                                              : kernel.base;
  const auto found = sizes.find(name);
  return found == sizes.end() ? nullptr : &found->second;
}

void print_compiled(const std::vector<CompiledKernel>& kernels, const LaunchSizes& sizes) {
  std::printf("\n%-8s %-64s %9s %6s %6s %9s %9s\n", "arch", "kernel", "registers", "stack",
              "spills", "shared", "occupancy");
  for (const CompiledKernel& k : kernels) {
    const LaunchSize* const size = size_of(k, sizes);
    std::string share = "-";
    if (size) {
      const size_t shared = static_cast<size_t>(k.shared_bytes) + size->shared_bytes;
      share =
          std::to_string(std::lround(100 * occupancy(k.arch, k.registers, size->threads, shared)));
      share += '%';
    }
    std::printf("%-8s %-64s %9d %6d %6d %9d %9s\n", k.arch.c_str(), k.name.c_str(), k.registers,
                k.stack_bytes, k.spill_store_bytes + k.spill_load_bytes, k.shared_bytes,
                share.c_str());
  }
  std::printf(
      "occupancy: with the most dynamic shared memory of the launches counted above; "
      "- : not launched in a decode step\n");
}

nlohmann::ordered_json to_json(const CompiledKernel& k, const LaunchSizes& sizes) {
  nlohmann::ordered_json json = {{"arch", k.arch},
                                 {"kernel", k.name},
                                 {"registers", k.registers},
                                 {"stack_bytes", k.stack_bytes},
                                 {"spill_store_bytes", k.spill_store_bytes},
                                 {"spill_load_bytes", k.spill_load_bytes},
                                 {"static_shared_bytes", k.shared_bytes}};
  if (const LaunchSize* const size = size_of(k, sizes)) {
    const size_t shared = static_cast<size_t>(k.shared_bytes) + size->shared_bytes;
    json["occupancy"] = occupancy(k.arch, k.registers, size->threads, shared);
  }
  return json;
}

Status run(const Options& options) {
  std::vector<CompiledKernel> compiled;
  if (!options.ptxas.empty()) {
    std::ifstream log(options.ptxas);
    compiled = read_ptxas(log);
    if (compiled.empty()) {
      return invalid_argument("bench", options.ptxas, " has no report of ptxas: it is the log of ",
                              "a build of mokume_kernels_cuda in which every file was compiled");
    }
  }
  if (!options.json) {
    std::printf("decode of %d sequence(s) at position %d, counted by the executor, one layer\n",
                options.shape.tokens, options.shape.positions - 1);
    std::printf("%-21s %-6s %-17s %2s %7s %9s %6s %7s %5s %8s %7s\n", "layer", "weight", "op", "L",
                "blocks", "MB moved", "/least", "sectors", "ways", "barriers", "sh. KiB");
  }
  LaunchSizes sizes;
  nlohmann::ordered_json ops = nlohmann::ordered_json::array(), layers = ops, kernels = ops;
  for (const LayerCase& layer : kLayers) {
    for (const Format format : kFormatsShown) {
      const std::string name = std::string(layer.name) + " " + name_of(format);
      if (name.find(options.filter) == std::string::npos) continue;
      MKM_ASSIGN_OR_RETURN(const std::vector<Row> rows, count(layer, format, options.shape, sizes));
      for (const Row& row : rows) options.json ? ops.push_back(to_json(row)) : print(row);
      options.json ? layers.push_back(to_json(sum_of(rows))) : print(sum_of(rows));
      std::fflush(stdout);
    }
  }
  if (!options.json) {
    std::printf("L: launches. /least: bytes moved over the least possible. barriers: of a block\n");
    if (!compiled.empty()) print_compiled(compiled, sizes);
    return absl::OkStatus();
  }
  for (const CompiledKernel& kernel : compiled) kernels.push_back(to_json(kernel, sizes));
  const nlohmann::ordered_json report = {{"tokens", options.shape.tokens},
                                         {"positions", options.shape.positions},
                                         {"ops", ops},
                                         {"layers", layers},
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
      ->check(CLI::Range(1, 1 << 17));
  app.add_option("--ptxas", options.ptxas,
                 "Log of a build of mokume_kernels_cuda: registers, spills and occupancy from it")
      ->check(CLI::ExistingFile);
  app.add_flag("--json", options.json, "One JSON object");
  CLI11_PARSE(app, argc, argv);
  const mokume::Status status = mokume::bench::run(options);
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
