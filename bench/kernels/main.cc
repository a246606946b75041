// Every CPU kernel in the shapes of small and large models: first against the scalar reference,
// then its speed as a share of what the machine reaches in the same seconds.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/kernels/limits.h"
#include "bench/kernels/matmul_bench.h"
#include "bench/kernels/row_bench.h"

namespace mokume::bench {
namespace {

using namespace kernels;

struct Matrix {
  int rows, columns;
};
constexpr Matrix kMatrices[] = {{576, 576}, {1536, 576}, {576, 1536}, {4096, 4096}, {12288, 4096}};
constexpr Matrix kOdd[] = {{1, 64}, {17, 192}, {49, 320}, {33, 256}};  // only checked
constexpr int kTokens[] = {1, 8, 64, 512};
constexpr int kOddTokens[] = {1, 3, 9, 33};
constexpr int kWidths[] = {576, 1536, 4096, 12288};

struct Options {
  std::string filter;
  std::string isa;
  int threads = 0;
  bool json = false;
  bool only_check = false;
};

struct Entry {
  std::string name;
  std::function<Figures()> run;
};

bool fits(const WeightType& type, int columns) { return columns % type.columns == 0; }

void add_matmul(const Setting& setting, const WeightType& type, const MatmulShape& shape,
                bool only_check, std::vector<Entry>& entries) {
  if (!fits(type, shape.columns) || (shape.int8 && !is_quantized(type.format))) return;
  const std::string name = std::string(shape.int8 ? "matmul_int8" : "matmul_f32") + "/" +
                           type.name + "/" + std::to_string(shape.rows) + "x" +
                           std::to_string(shape.columns) + "/M" + std::to_string(shape.tokens);
  entries.push_back({name, [&setting, &type, shape, only_check] {
                       return bench_matmul(setting, type, shape, only_check);
                     }});
}

std::vector<Entry> entries_of(const Setting& setting, bool only_check) {
  std::vector<Entry> entries;
  for (const WeightType& type : kWeightTypes) {
    const bool int8 = is_quantized(type.format);
    for (const Matrix& m : kOdd) {
      for (const int tokens : kOddTokens) {
        add_matmul(setting, type, {m.rows, m.columns, tokens, true}, true, entries);
        add_matmul(setting, type, {m.rows, m.columns, tokens, false}, true, entries);
      }
    }
    for (const Matrix& m : kMatrices) {
      for (const int tokens : kTokens) {
        add_matmul(setting, type, {m.rows, m.columns, tokens, int8}, only_check, entries);
      }
    }
  }
  for (const std::string& kernel : row_kernels()) {
    for (const int width : kWidths) {
      entries.push_back(
          {kernel + "/" + std::to_string(width), [&setting, kernel, width, only_check] {
             return bench_rows(setting, kernel, width, only_check);
           }});
    }
  }
  return entries;
}

const CpuKernels* kernels_named(const std::string& name) {
  if (name.empty()) return &best_cpu_kernels();
  for (const Isa isa : kIsas) {
    const CpuKernels* kernels = cpu_kernels(isa);
    if (kernels && kernels->name == name) return kernels;
  }
  return nullptr;
}

nlohmann::json to_json(const std::string& name, const Figures& figures) {
  nlohmann::json json = {{"name", name}, {"correct", !figures.wrong}};
  if (figures.wrong) json["wrong"] = *figures.wrong;
  if (figures.rate > 0) {
    json.update({{"rate", figures.rate}, {"unit", figures.unit}, {"share", figures.share}});
    json.update({{"limit", figures.limit}, {"of", figures.of}});
  }
  return json;
}

void print(const std::string& name, const Figures& figures) {
  if (figures.wrong) {
    std::printf("%-36s WRONG: %s\n", name.c_str(), figures.wrong->c_str());
  } else if (figures.rate > 0) {
    std::printf("%-36s %8.1f %-5s %5.1f%% of %8.1f (%s)\n", name.c_str(), figures.rate / 1e9,
                figures.unit, figures.share * 100, figures.limit / 1e9, figures.of);
  } else {
    std::printf("%-36s correct\n", name.c_str());
  }
  std::fflush(stdout);
}

int run(const Options& options) {
  const CpuKernels* kernels = kernels_named(options.isa);
  if (!kernels) {
    std::fprintf(stderr, "this machine has no kernels named \"%s\"\n", options.isa.c_str());
    return 2;
  }
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  Crew crew(options.threads > 0 ? options.threads : std::max(cores, 1));
  const Setting setting{*kernels, crew};
  std::vector<Entry> entries = entries_of(setting, options.only_check);
  std::erase_if(entries, [&](const Entry& entry) {
    return entry.name.find(options.filter) == std::string::npos;
  });
  nlohmann::json results = nlohmann::json::array();
  int wrong = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    std::fprintf(stderr, "\r\033[K%zu/%zu %s", i + 1, entries.size(), entries[i].name.c_str());
    const Figures figures = entries[i].run();
    wrong += figures.wrong.has_value();
    std::fprintf(stderr, "\r\033[K");
    if (options.json) {
      results.push_back(to_json(entries[i].name, figures));
    } else {
      print(entries[i].name, figures);
    }
  }
  if (options.json) {
    const nlohmann::json report = {
        {"isa", kernels->name}, {"threads", crew.threads()}, {"results", results}};
    std::printf("%s\n", report.dump(2).c_str());
  }
  std::fprintf(stderr, "%zu kernels and shapes with %s on %d threads, %d of them wrong\n",
               entries.size(), kernels->name, crew.threads(), wrong);
  return wrong > 0 ? 1 : 0;
}

}  // namespace
}  // namespace mokume::bench

int main(int argc, char** argv) {
  mokume::bench::Options options;
  CLI::App app("Measures the CPU kernels, after checking them against the scalar reference");
  app.add_option("--filter", options.filter, "Only names that contain this, as Q8_0/4096x4096/M1");
  app.add_option("--isa", options.isa, "avx2, avx-vnni, avx512-vnni (the best without)");
  app.add_option("--threads", options.threads, "Threads (0: all cores)")
      ->check(CLI::Range(0, 1024));
  app.add_flag("--check", options.only_check, "Only check");
  app.add_flag("--json", options.json, "One JSON object");
  CLI11_PARSE(app, argc, argv);
  return mokume::bench::run(options);
}
