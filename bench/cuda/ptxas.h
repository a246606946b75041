// What the compiler reports of the kernels (nvcc -Xptxas=-v), and how many warps that leaves room
// for.
#pragma once

#include <istream>
#include <string>
#include <vector>

namespace mokume::bench {

struct CompiledKernel {
  std::string name;  ///< demangled, with its template arguments
  std::string base;  ///< without them and without "_kernel"
  std::string arch;  ///< "sm_80"
  int registers = 0;
  int stack_bytes = 0;
  int spill_store_bytes = 0;
  int spill_load_bytes = 0;
  int shared_bytes = 0;  ///< static
};

std::vector<CompiledKernel> read_ptxas(std::istream& log);

/// Warps that a multiprocessor of `arch` holds over those that it has room for, with blocks of
/// `threads` and so much shared memory each: limits of the CUDA programming guide's table of
/// technical specifications, registers given out to a warp by 256. 0 for an arch not known here.
double occupancy(const std::string& arch, int registers, int threads, size_t shared_bytes);

}  // namespace mokume::bench
