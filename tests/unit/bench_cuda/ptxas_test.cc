#include "bench/cuda/ptxas.h"

#include <gtest/gtest.h>

#include <sstream>

#include "bench/cuda/launch_sizes.h"

namespace mokume::bench {
namespace {

// Two kernels of what nvcc 13.0 -Xptxas=-v prints, among ninja's lines.
constexpr const char* kLog = R"([12/40] Building CUDA object embed.cu.o
ptxas info    : 11 bytes gmem
ptxas info    : Compiling entry function '_ZN6mokume4cuda3gpu15rms_norm_kernelIfEEvNS0_11RmsNormArgsE' for 'sm_80'
ptxas info    : Function properties for _ZN6mokume4cuda3gpu15rms_norm_kernelIfEEvNS0_11RmsNormArgsE
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 32 bytes smem, 424 bytes cmem[0]
ptxas info    : Compile time = 9.262 ms
ptxas info    : Compiling entry function '_ZN6mokume4cuda3gpu12embed_kernelEv' for 'sm_120a'
ptxas info    : Function properties for _ZN6mokume4cuda3gpu12embed_kernelEv
    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 128 registers, used 0 barriers, 424 bytes cmem[0]
)";

TEST(Ptxas, IsRead) {
  std::istringstream log(kLog);
  const auto kernels = read_ptxas(log);
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0].name, "rms_norm_kernel<float>");
  EXPECT_EQ(kernels[0].base, "rms_norm");
  EXPECT_EQ(kernels[0].arch, "sm_80");
  EXPECT_EQ(kernels[0].registers, 32);
  EXPECT_EQ(kernels[0].shared_bytes, 32);
  EXPECT_EQ(kernels[0].spill_store_bytes + kernels[0].spill_load_bytes, 0);
  EXPECT_EQ(kernels[1].base, "embed");
  EXPECT_EQ(kernels[1].arch, "sm_120a");
  EXPECT_EQ(kernels[1].registers, 128);
  EXPECT_EQ(kernels[1].stack_bytes, 16);
  EXPECT_EQ(kernels[1].spill_store_bytes, 8);
  EXPECT_EQ(kernels[1].spill_load_bytes, 4);
  EXPECT_EQ(kernels[1].shared_bytes, 0);
}

// By hand, from the CUDA programming guide's table.
TEST(Occupancy, IsWhatTheLimitsLeave) {
  EXPECT_EQ(occupancy("sm_80", 32, 256, 0), 1);           // 8 blocks of 8 warps
  EXPECT_EQ(occupancy("sm_80", 128, 256, 0), 16.0 / 64);  // 65536 / (128 * 32) = 16 warps
  EXPECT_EQ(occupancy("sm_80", 33, 256, 0),
            48.0 / 64);                                 // 33 * 32 in units of 256 is 1280: 51 warps
  EXPECT_EQ(occupancy("sm_86", 32, 32, 0), 16.0 / 48);  // at most 16 blocks
  EXPECT_EQ(occupancy("sm_90a", 32, 128, 75 << 10), 12.0 / 64);  // 3 blocks in 228 KiB
  EXPECT_EQ(occupancy("sm_120a", 32, 128, 75 << 10), 4.0 / 48);  // one in 100 KiB
  for (const char* arch : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"}) {
    EXPECT_GT(occupancy(arch, 64, 256, 1024), 0) << arch;
  }
}

TEST(LaunchSizes, AreOfEveryKernel) {
  const auto sizes = launch_sizes();
  for (const char* kernel :
       {"products", "exact_products", "gemm", "dequantize", "embed", "rope_append",
        "attention_prefill", "attention_exact", "attention_piece", "attention_join",
        "delta_net_decode", "delta_net_conv", "delta_net_rule", "delta_net_gate", "rms_norm",
        "silu_mul", "rescale", "sample_slice", "sample_pick"}) {
    ASSERT_TRUE(sizes.contains(kernel)) << kernel;
    EXPECT_GT(sizes.at(kernel).threads, 0) << kernel;
  }
  EXPECT_GT(sizes.at("products").shared_bytes, 0u);
  EXPECT_GT(sizes.at("attention_prefill").shared_bytes, 0u);
}

}  // namespace
}  // namespace mokume::bench
