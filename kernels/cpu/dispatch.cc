#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <iterator>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/tables.h"

namespace mokume::kernels {
namespace {

#if defined(__x86_64__)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
bool has_avx_vnni() {
  unsigned eax = 0, ebx, ecx, edx;
  return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1) != 0;
}
bool has_avx512_vnni() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
bool has_dot_product() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#endif

}  // namespace

const CpuKernels* cpu_kernels(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return &scalar_kernels();
#if defined(__x86_64__)
    case Isa::kAvx2:
      return has_avx2() ? &avx2_kernels() : nullptr;
    case Isa::kAvxVnni:
      return has_avx_vnni() ? &avx_vnni_kernels() : nullptr;
    case Isa::kAvx512Vnni:
      return has_avx512_vnni() ? &avx512_vnni_kernels() : nullptr;
#elif defined(__aarch64__)
    case Isa::kNeonDot:
      return has_dot_product() ? &neon_kernels() : nullptr;
#endif
    default:  // of another processor
      return nullptr;
  }
}

const CpuKernels& best_cpu_kernels() {
  const auto found =
      std::find_if(std::rbegin(kIsas), std::rend(kIsas), [](Isa isa) { return cpu_kernels(isa); });
  return *cpu_kernels(*found);  // there is always the scalar one
}

}  // namespace mokume::kernels
