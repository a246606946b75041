// Every op of the table is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/kernels_cuda/harness.h"

namespace mokume::cuda {
namespace {

TEST(Table, HasEveryOp) {
  const TestGpu gpu;
  const CudaKernels& k = gpu.kernels();
  std::vector<std::string> missing;
  const auto look = [&](const char* name, bool there) {
    if (!there) missing.emplace_back(name);
  };
  look("embed", k.embed);
  look("rms_norm", k.rms_norm);
  look("matvec", k.matvec);
  look("gate_up", k.gate_up);
  look("gemm", k.gemm);
  look("rescale", k.rescale);
  look("dequantize", k.dequantize);
  look("quantize_nvfp4", k.quantize_nvfp4);
  look("pack_nvfp4", k.pack_nvfp4);
  look("silu_mul", k.silu_mul);
  look("rope_append", k.rope_append);
  look("attention_decode", k.attention_decode);
  look("attention_prefill", k.attention_prefill);
  look("delta_net_decode", k.delta_net_decode);
  look("delta_net_prefill", k.delta_net_prefill);
  look("sample", k.sample);
  EXPECT_THAT(missing, testing::IsEmpty());
}

}  // namespace
}  // namespace mokume::cuda
