#include "cli/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace mokume {
namespace {

using ::testing::HasSubstr;

const std::string kTiny = MOKUME_SOURCE_DIR "/tests/data/gguf/tiny-llama.gguf";

TEST(Inspect, JsonOfTinyLlama) {
  std::ostringstream out;
  ASSERT_TRUE(run_inspect(kTiny, true, out).ok());
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["architecture"], "llama");
  EXPECT_EQ(json["format"], "GGUF v3");
  EXPECT_EQ(json["layers"].size(), 4u);
  // q and o 64x64, k and v 32x64, three 64x160, two norms of 64; F32.
  EXPECT_EQ(json["layers"][0]["bytes"], 4 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 160 + 2 * 64));
  EXPECT_EQ(json["layers"][0]["types"], "F32");
  EXPECT_EQ(json["bytes"]["embedding"], 4 * 512 * 64);
  EXPECT_EQ(json["bytes"]["head"], 0);
  EXPECT_EQ(json["tied_head"], true);
  EXPECT_EQ(json["bytes"]["total"], 4 * (512 * 64 + 64) + 4 * 172544);
  EXPECT_EQ(json["kv_bytes_per_token"], 4 * 2 * 2 * 16 * 2);
  EXPECT_EQ(json["context_length"], 512);
  EXPECT_EQ(json["tokenizer"], "none");
}

TEST(Inspect, TableOfTinyLlama) {
  std::ostringstream out;
  ASSERT_TRUE(run_inspect(kTiny, false, out).ok());
  EXPECT_THAT(out.str(), HasSubstr("architecture    llama\n"));
  EXPECT_THAT(out.str(), HasSubstr("  layer 0-3     168.5 KiB each  F32\n"));
  EXPECT_THAT(out.str(), HasSubstr("head            the embedding's own (tied)\n"));
  EXPECT_THAT(out.str(), HasSubstr("KV per token    512 B (F16), 256.0 KiB for a full context\n"));
}

TEST(Inspect, AnErrorWritesNothing) {
  std::ostringstream out;
  const Status status = run_inspect("/nonexistent.gguf", false, out);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent.gguf"));
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace mokume
