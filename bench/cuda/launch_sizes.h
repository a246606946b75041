// How the kernels are launched: what their occupancy depends on beside what the compiler reports.
#pragma once

#include <map>
#include <string>

namespace mokume::bench {

struct LaunchSize {
  int threads = 0;
  size_t shared_bytes = 0;  ///< dynamic, the most
};

/// Of every kernel of kernels/cuda, by its name without "_kernel", on the shapes of Qwen3.5-9B and
/// Llama-3.1-8B: the launch functions are called, and what they launch is noted and not run.
std::map<std::string, LaunchSize> launch_sizes();

}  // namespace mokume::bench
