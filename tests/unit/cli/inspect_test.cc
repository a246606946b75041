#include "cli/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

namespace mokume {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kData = MOKUME_SOURCE_DIR "/tests/data/";
const std::string kTiny = kData + "gguf/tiny-llama.gguf";

json inspect(const std::string& path) {
  std::ostringstream out;
  const Status status = run_inspect(path, true, out);
  EXPECT_TRUE(status.ok()) << status;
  return json::parse(out.str(), nullptr, false);
}

std::string table(const std::string& path) {
  std::ostringstream out;
  const Status status = run_inspect(path, false, out);
  EXPECT_TRUE(status.ok()) << status;
  return out.str();
}

/// Every model of tests/data: GGUF files and directories.
std::vector<std::string> models() {
  std::vector<std::string> paths;
  for (const char* folder : {"gguf", "hf"}) {
    for (const auto& entry : std::filesystem::directory_iterator(kData + folder)) {
      if (entry.is_directory() || entry.path().extension() == ".gguf") {
        paths.push_back(entry.path().string());
      }
    }
  }
  return paths;
}

TEST(Inspect, JsonOfTinyLlama) {
  const json report = inspect(kTiny);
  EXPECT_EQ(report["architecture"], "llama");
  EXPECT_EQ(report["format"], "GGUF v3");
  EXPECT_EQ(report["layers"].size(), 4u);
  // q and o 64x64, k and v 32x64, three 64x160, two norms of 64; F32.
  EXPECT_EQ(report["layers"][0]["bytes"], 4 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 160 + 2 * 64));
  EXPECT_EQ(report["layers"][0]["types"], "F32");
  EXPECT_EQ(report["layers"][0]["mixer"], "attention");
  EXPECT_EQ(report["bytes"]["embedding"], 4 * 512 * 64);
  EXPECT_EQ(report["bytes"]["head"], 0);
  EXPECT_EQ(report["tied_head"], true);
  EXPECT_EQ(report["bytes"]["total"], 4 * (512 * 64 + 64) + 4 * 172544);
  EXPECT_EQ(report["parameters"], 512 * 64 + 64 + 172544);
  EXPECT_EQ(report["bits_per_parameter"], 32);
  EXPECT_EQ(report["saved"]["FP16"], -1);
  EXPECT_EQ(report["kv_bytes_per_token"], 4 * 2 * 2 * 16 * 2);
  EXPECT_EQ(report["state_bytes_per_sequence"], 0);
  EXPECT_EQ(report["context_length"], 512);
  EXPECT_EQ(report["tokenizer"], "none");
  const json needs = report["needs"]["one_sequence"];
  ASSERT_EQ(needs.size(), 1u);
  EXPECT_EQ(needs[0]["context"], 512);
  EXPECT_EQ(needs[0]["total_bytes"], report["bytes"]["total"].get<int>() + 512 * 512);
}

TEST(Inspect, TableOfTinyLlama) {
  const std::string text = table(kTiny);
  EXPECT_THAT(text, HasSubstr("architecture    llama\n"));
  EXPECT_THAT(text, HasSubstr("  layers        0-3: attention, 168.5 KiB each, F32\n"));
  EXPECT_THAT(text, HasSubstr("head            the embedding's own (tied)\n"));
  EXPECT_THAT(text, HasSubstr("total           802.2 KiB, 32.00 bits a parameter\n"));
  EXPECT_THAT(text, HasSubstr("  against       FP32 0.0%, FP16 +100.0%, FP8 +300.0%\n"));
  EXPECT_THAT(text, HasSubstr("KV per token    512 B (F16)\n"));
  EXPECT_THAT(text, HasSubstr("256.0 KiB for a sequence of 512 tokens\n"));
}

TEST(Inspect, HybridsInBothContainers) {
  for (const char* path : {"gguf/tiny-qwen3_5.gguf", "hf/tiny-qwen3_5"}) {
    SCOPED_TRACE(path);
    const json report = inspect(kData + path);
    EXPECT_EQ(report["layers"].size(), 8u);
    EXPECT_EQ(report["attention_layers"], 2);
    EXPECT_EQ(report["layers"][3]["mixer"], "attention");
    EXPECT_EQ(report["layers"][4]["mixer"], "delta net");
    const json net = report["delta_net"];
    EXPECT_EQ(net["key_heads"], 2);
    EXPECT_EQ(net["value_heads"], 4);
    // The matrices of the value heads, and the convolution's last inputs; F32.
    const int key = net["key_dim"], value = net["value_dim"], kernel = net["conv_kernel"];
    const int state = 4 * (4 * key * value + (kernel - 1) * (2 * 2 * key + 4 * value));
    EXPECT_EQ(report["layers"][0]["state_bytes_per_sequence"], state);
    EXPECT_EQ(report["layers"][3]["state_bytes_per_sequence"], 0);
    EXPECT_EQ(report["state_bytes_per_sequence"], 6 * state);
    EXPECT_EQ(report["layers"][0]["kv_bytes_per_token"], 0);
    const int kv_heads = report["kv_heads"], head_dim = report["head_dim"];
    EXPECT_EQ(report["kv_bytes_per_token"], 2 * 2 * kv_heads * head_dim * 2);
    const std::string text = table(kData + path);
    EXPECT_THAT(text, HasSubstr("0-2, 4-6: delta net, "));
    EXPECT_THAT(text, HasSubstr("3, 7: attention, "));
    EXPECT_THAT(text, HasSubstr("a sequence (F32)\n"));
  }
}

TEST(Inspect, SumsAreRightForEveryModel) {
  int seen = 0;
  for (const std::string& path : models()) {
    SCOPED_TRACE(path);
    const json report = inspect(path);
    ASSERT_TRUE(report.is_object());
    ++seen;
    uint64_t layers = 0, types = 0, parameters = 0;
    for (const json& layer : report["layers"]) {
      layers += layer["bytes"].get<uint64_t>();
      EXPECT_NE(layer["types"], "");
    }
    for (const auto& [name, share] : report["types"].items()) {
      types += share["bytes"].get<uint64_t>();
      parameters += share["parameters"].get<uint64_t>();
    }
    EXPECT_EQ(report["bytes"]["layers"], layers);
    EXPECT_EQ(report["bytes"]["total"], types);
    EXPECT_EQ(report["parameters"], parameters);
    EXPECT_NEAR(report["bits_per_parameter"].get<double>(), 8.0 * types / parameters, 1e-9);
    EXPECT_GT(report["bytes"]["stored"], 0);
    EXPECT_THAT(table(path), HasSubstr("to run"));
  }
  EXPECT_GE(seen, 17);
}

TEST(Inspect, CountsScalesIn) {
  const json share = inspect(kData + "gguf/wide-llama-NVFP4.gguf")["types"]["NVFP4"];
  EXPECT_NEAR(share["bits_per_parameter"].get<double>(), 4.5, 0.01);
  EXPECT_THAT(table(kData + "gguf/wide-llama-NVFP4.gguf"), HasSubstr("4.50 bits a parameter"));
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
