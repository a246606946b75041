// That a device on which nothing checks a kernel's accesses is watched all the same.
#include "tests/kernels_cuda/harness.h"

#include <gtest/gtest-spi.h>

#include "tests/kernels_cuda/matrices.h"

namespace mokume::cuda {
namespace {

constexpr int kColumns = 32;

EmbedArgs embed_args(TestGpu& gpu, float* out) {
  EmbedArgs args;
  args.table = random_matrix(Format::kF32, 4, kColumns, 1).on(gpu);
  args.ids = gpu.put(std::vector<int32_t>{2});
  args.out = out;
  args.tokens = 1;
  return args;
}

TEST(Harness, SeesWhatIsWrittenAroundAnAllocation) {
  if (!on_gpu()) GTEST_SKIP() << "the executor sees every access";
  for (const ptrdiff_t off : {-1, 1}) {
    EXPECT_NONFATAL_FAILURE(
        {
          TestGpu gpu;
          float* const out = gpu.empty<float>(kColumns);
          gpu.run(gpu.kernels().embed, embed_args(gpu, out + 4 * off));
        },
        "an allocation");
  }
}

TEST(Harness, SeesWhatIsNotWritten) {
  if (!on_gpu()) GTEST_SKIP() << "the executor knows which bytes were written";
  TestGpu gpu;
  float* const out = gpu.empty<float>(2 * kColumns);
  gpu.run(gpu.kernels().embed, embed_args(gpu, out));
  const std::vector<float> values = gpu.get(out, 2 * kColumns);
  EXPECT_FALSE(std::isnan(values[kColumns - 1]));
  EXPECT_TRUE(std::isnan(values[kColumns]));
}

}  // namespace
}  // namespace mokume::cuda
