#include "cli/synthesize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "cli/forward.h"
#include "quantize/synthesize.h"

namespace mokume {
namespace {

using ::testing::HasSubstr;

constexpr SyntheticShape kHybrid = {.name = "small-hybrid",
                                    .layers = 8,
                                    .hidden = 256,
                                    .ffn = 512,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .head_dim = 64,
                                    .vocab = 700,
                                    .context = 1024,
                                    .theta = 1e7,
                                    .epsilon = 1e-6f,
                                    .key_heads = 2,
                                    .value_heads = 4};

class SynthesizeCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("mokume.synthesize." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(SynthesizeCommandTest, AnswersAreNeitherInfiniteNorDull) {
  for (const char* name : {"model", "model.gguf"}) {
    SCOPED_TRACE(name);
    SynthesizeOptions options;
    options.shape = kHybrid;
    options.output = (folder_ / name).string();
    ASSERT_TRUE(synthesize(options).ok());
    const Config config = default_config(options.output, 1);
    RuntimeOptions runtime_options;
    runtime_options.max_logit_rows = forward_logit_rows(config.scheduler);
    auto runtime = load_runtime(config, runtime_options);
    ASSERT_TRUE(runtime.ok()) << runtime.status();
    std::vector<int32_t> ids(100);
    std::iota(ids.begin(), ids.end(), 300);
    int rows = 0;
    const Status status = forward(*runtime, ids, [&](int, std::span<const float> logits) {
      double sum = 0, squares = 0;
      for (const float logit : logits) {
        sum += logit;
        squares += double{logit} * logit;
      }
      const double mean = sum / static_cast<double>(logits.size());
      const double deviation =
          std::sqrt(squares / static_cast<double>(logits.size()) - mean * mean);
      EXPECT_GT(deviation, 0.5);
      EXPECT_LT(deviation, 2);
      ++rows;
    });
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(rows, 100);
  }
}

TEST_F(SynthesizeCommandTest, RefusesWhatItDoesNotKnow) {
  std::ostringstream out;
  SynthesizeCommand command;
  command.output = (folder_ / "model").string();
  command.shape = "qwen3.5-9c";
  EXPECT_THAT(std::string(run_synthesize(command, out).message()), HasSubstr("qwen3.5-9b"));
  command.shape = "qwen3.5-9b";
  command.format = "q4";
  EXPECT_THAT(std::string(run_synthesize(command, out).message()), HasSubstr("--format is \"q4\""));
  command.format = "keep";
  EXPECT_FALSE(run_synthesize(command, out).ok());
  EXPECT_EQ(out.str(), "");
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace mokume
