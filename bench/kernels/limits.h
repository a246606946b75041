// What the machine can do at most, measured beside the work that is compared with it.
#pragma once

#include <cstdint>
#include <span>

#include "bench/kernels/crew.h"
#include "kernels/cpu/kernels.h"

namespace mokume::bench {

/// Seconds to read `bytes` once, each thread its part from front to back.
double read_seconds(Crew& crew, std::span<const uint8_t> bytes);

/// Operations (a multiplication and an addition are two) a second of all threads on registers
/// alone: dot products of int8 as `isa` has them, and f32 multiply-adds. 0 where it is not known.
double int8_peak(Crew& crew, kernels::Isa isa);
double f32_peak(Crew& crew, kernels::Isa isa);

}  // namespace mokume::bench
