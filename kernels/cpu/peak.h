// What an instruction set multiplies at most, as a yardstick for products.
#pragma once

#include "kernels/cpu/kernels.h"

namespace mokume::kernels {

/// Nothing but multiplications and additions on registers, for about a millisecond.
struct PeakLoop {
  void (*run)() = nullptr;  ///< null where the instruction set has no such loop here
  double operations = 0;    ///< of one run; a multiplication and an addition are two
};

/// Dot products of int8 as `isa` has them. The machine must have it.
PeakLoop int8_peak_loop(Isa isa);
/// f32 multiply-adds.
PeakLoop f32_peak_loop(Isa isa);

}  // namespace mokume::kernels
