// What a simulated library's products need, and what wrong ones do.
#include <gtest/gtest.h>

#include "device/cuda/blocks.h"
#include "device/cuda/simulated_gpu.h"

namespace mokume::cuda {
namespace {

TEST(SimulatedProducts, NeedTheLibraryAndTheGpu) {
  SimulatedOptions options;
  options.library = false;
  EXPECT_TRUE(absl::IsNotFound(
      make_simulated_gpu(options)->make_product({ProductType::kF16, 16, 32, 512, 1}).status()));
  options.library = true;
  options.major = 9;
  const auto hopper = make_simulated_gpu(options);
  const auto made = hopper->make_product({ProductType::kF8, 16, 32, 512, 1});
  ASSERT_TRUE(made.ok()) << made.status();
  hopper->destroy(*made);
  EXPECT_TRUE(
      absl::IsUnimplemented(hopper->make_product({ProductType::kNvfp4, 16, 32, 512, 1}).status()));
}

// As the executor sees what kernels do wrong.
TEST(SimulatedProducts, LoseTheDeviceByWrongMemory) {
  const auto gpu = make_simulated_gpu({});
  const OwnedStream stream = *make_stream(*gpu);
  const OwnedProduct product(*gpu, *gpu->make_product({ProductType::kF16, 16, 32, 512, 1}));
  const DeviceBlock block = *DeviceBlock::allocate(*gpu, 4096);
  ProductArgs args{block.data(), nullptr, block.data() + 1024, nullptr, block.data() + 2048, 1};
  ASSERT_TRUE(gpu->multiply(stream.get(), product.get(), args).ok());
  const Status status = gpu->synchronize(stream.get());  // nothing was ever written there
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_NE(status.message().find("a product of no matrix"), std::string::npos) << status;
}

}  // namespace
}  // namespace mokume::cuda
