#include "kernels/cpu/peak.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mokume::kernels {
namespace {

#if defined(__x86_64__)
constexpr int kChains = 12;  // independent ones: more than latency times throughput
constexpr int kTurns = 400'000;

// One instruction on each of twelve registers, again and again. In assembly, because compilers move
// accumulators of these intrinsics to memory and back.
#define MOKUME_TURNS(TARGET, NAME, VECTOR, STEP)                                                   \
  [[gnu::target(TARGET)]] void NAME() {                                                            \
    VECTOR a[kChains] = {}, b = {}, c = {};                                                        \
    for (int turn = 0; turn < kTurns; ++turn) {                                                    \
      asm volatile(STEP("0") STEP("1") STEP("2") STEP("3") STEP("4") STEP("5") STEP("6") STEP("7") \
                       STEP("8") STEP("9") STEP("10") STEP("11")                                   \
                   : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]), "+v"(a[4]), "+v"(a[5]),       \
                     "+v"(a[6]), "+v"(a[7]), "+v"(a[8]), "+v"(a[9]), "+v"(a[10]), "+v"(a[11])      \
                   : "v"(b), "v"(c));                                                              \
    }                                                                                              \
  }
#define MOKUME_VNNI(I) "vpdpbusd %12, %13, %" I "\n"
#define MOKUME_AVX_VNNI(I) "%{vex%} vpdpbusd %12, %13, %" I "\n"
#define MOKUME_FMA(I) "vfmadd231ps %12, %13, %" I "\n"
MOKUME_TURNS("avx512f,avx512vnni", vnni512, __m512i, MOKUME_VNNI)
MOKUME_TURNS("avx512f", fma512, __m512, MOKUME_FMA)
MOKUME_TURNS("avx2,avxvnni", vnni256, __m256i, MOKUME_AVX_VNNI)
MOKUME_TURNS("avx2,fma", fma256, __m256, MOKUME_FMA)

// Dot products of what has no instruction for them.
[[gnu::target("avx2")]] void maddubs256() {
  __m256i a[2] = {}, b = {}, c = {};
  for (int turn = 0; turn < kTurns; ++turn) {
    asm volatile(
        "vpmaddubsw %2, %3, %%ymm12\nvpmaddwd %%ymm12, %2, %%ymm13\nvpaddd %%ymm13, %0, %0\n"
        "vpmaddubsw %2, %3, %%ymm14\nvpmaddwd %%ymm14, %2, %%ymm15\nvpaddd %%ymm15, %1, %1\n"
        : "+x"(a[0]), "+x"(a[1])
        : "x"(b), "x"(c)
        : "xmm12", "xmm13", "xmm14", "xmm15");
  }
}
#undef MOKUME_TURNS
#undef MOKUME_VNNI
#undef MOKUME_AVX_VNNI
#undef MOKUME_FMA

PeakLoop loop(void (*run)(), int multiplications_a_turn) {
  return {run, 2.0 * multiplications_a_turn * kTurns};
}
#endif

}  // namespace

PeakLoop int8_peak_loop([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Vnni) return loop(vnni512, kChains * 64);
  if (isa == Isa::kAvxVnni) return loop(vnni256, kChains * 32);
  if (isa == Isa::kAvx2) return loop(maddubs256, 2 * 32);
#endif
  return {};
}

PeakLoop f32_peak_loop([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Vnni) return loop(fma512, kChains * 16);
  if (isa == Isa::kAvxVnni || isa == Isa::kAvx2) return loop(fma256, kChains * 8);
#endif
  return {};
}

}  // namespace mokume::kernels
