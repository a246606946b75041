// A kernel in one shape: what is measured, and what came out.
#pragma once

#include <optional>
#include <string>

#include "bench/kernels/crew.h"
#include "kernels/cpu/kernels.h"

namespace mokume::bench {

struct Setting {
  const kernels::CpuKernels& kernels;
  Crew& crew;
};

/// Figures are medians over slices of work.
struct Figures {
  std::optional<std::string> wrong;  ///< where it is off the scalar reference; nothing is measured
  double rate = 0;                   ///< bytes or operations a second
  double limit = 0;                  ///< of the same, measured beside each slice; 0: not known
  double share = 0;                  ///< of the limit, by slices
  const char* unit = "";             ///< GB/s or GOP/s
  const char* of = "";               ///< what the limit is
};

double median(std::vector<double> values);

}  // namespace mokume::bench
