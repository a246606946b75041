// The cases under the executor of kernels/simt, or with --gpu[=INDEX] on a GPU (--gpu=simulated: on
// a simulated one, to try that way). Status 77 says that there is no such GPU.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/kernels_cuda/harness.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool named = argument.starts_with("--gpu=");
    if (!named && argument != "--gpu") {
      std::fprintf(stderr, "unknown option %s; beside GoogleTest's there is --gpu[=INDEX]\n",
                   argv[i]);
      return 2;
    }
    const mokume::Status status = mokume::cuda::use_gpu(named ? argument.substr(6) : "0");
    if (!status.ok()) {
      std::printf("no cases: %s\n", std::string(status.message()).c_str());
      return absl::IsNotFound(status) ? 77 : 2;
    }
  }
  return RUN_ALL_TESTS();
}
