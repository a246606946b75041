#include "bench/cuda/ptxas.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <regex>

namespace mokume::bench {
namespace {

struct Multiprocessor {
  const char* arch;
  int warps, blocks;
  size_t shared_bytes;
};
constexpr Multiprocessor kMultiprocessors[] = {
    {"sm_80", 64, 32, 164 << 10},  {"sm_86", 48, 16, 100 << 10},   {"sm_89", 48, 24, 100 << 10},
    {"sm_90a", 64, 32, 228 << 10}, {"sm_100a", 64, 32, 228 << 10}, {"sm_120a", 48, 24, 100 << 10},
};
constexpr int kRegisters = 65536, kRegistersAtOnce = 256;  // of a multiprocessor; of a warp
constexpr size_t kSystemShared = 1024;                     // of each block

std::string demangled(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? text.get() : name;
}

// "void mokume::cuda::gpu::(anonymous namespace)::embed_kernel<...>(...)": "embed_kernel<...>".
std::string short_name(std::string name) {
  static const std::regex anonymous("\\(anonymous namespace\\)::|_GLOBAL__N_\\w*::|mokume::cuda::");
  name = std::regex_replace(name, anonymous, "");
  static const std::regex kernel("(\\w+_kernel)(<.*>)?\\(");
  std::smatch found;
  return std::regex_search(name, found, kernel) ? found[1].str() + found[2].str() : name;
}

}  // namespace

std::vector<CompiledKernel> read_ptxas(std::istream& log) {
  static const std::regex entry("Compiling entry function '(\\S+)' for '(\\w+)'");
  static const std::regex registers("Used (\\d+) registers");
  static const std::regex shared("(\\d+) bytes smem");
  std::vector<CompiledKernel> kernels;
  std::smatch found;
  for (std::string line; std::getline(log, line);) {
    if (std::regex_search(line, found, entry)) {
      CompiledKernel kernel;
      kernel.name = short_name(demangled(found[1]));
      kernel.base = kernel.name.substr(0, kernel.name.find("_kernel"));
      kernel.arch = found[2];
      kernels.push_back(kernel);
    }
    if (kernels.empty()) continue;
    CompiledKernel& last = kernels.back();
    std::sscanf(line.c_str(), " %d bytes stack frame, %d bytes spill stores, %d bytes spill loads",
                &last.stack_bytes, &last.spill_store_bytes, &last.spill_load_bytes);
    if (!std::regex_search(line, found, registers)) continue;
    last.registers = std::stoi(found[1]);
    if (std::regex_search(line, found, shared)) last.shared_bytes = std::stoi(found[1]);
  }
  return kernels;
}

double occupancy(const std::string& arch, int registers, int threads, size_t shared_bytes) {
  const auto* const of = std::find_if(std::begin(kMultiprocessors), std::end(kMultiprocessors),
                                      [&](const auto& m) { return arch == m.arch; });
  if (of == std::end(kMultiprocessors) || threads <= 0) return 0;
  const int warps = (threads + 31) / 32;
  const int of_warp =
      (std::max(registers, 1) * 32 + kRegistersAtOnce - 1) / kRegistersAtOnce * kRegistersAtOnce;
  const int by_registers = kRegisters / of_warp / warps;
  const int by_shared = static_cast<int>(of->shared_bytes / (shared_bytes + kSystemShared));
  const int blocks = std::min({of->blocks, of->warps / warps, by_registers, by_shared});
  return static_cast<double>(blocks * warps) / of->warps;
}

}  // namespace mokume::bench
