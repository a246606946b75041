#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace mokume {
namespace {

using testing::ElementsAre;

constexpr const char* kWhole = R"(
model: {name: smollm2-135m, path: models/SmolLM2-135M-Instruct.Q4_1.gguf}
server: {http: {listen: "127.0.0.1:8081"}, grpc: {listen: "[::1]:50051"}, max_request_bytes: 4MiB,
         drain_seconds: 5, http_threads: 3}
devices:
  - {name: cpu0, kind: cpu, threads: 1, cores: [3], numa_node: 1}
  - {name: cpu1, kind: cpu, threads: 2, cores: 4-6}
placement:
  stages:
    - {device: cpu0, layers: 0-14}
    - {device: cpu1, layers: 15, weights: nvfp4, activations: nvfp4}
scheduler: {max_sequences: 8, max_queue: 9, prefill_chunk_tokens: 128,
            kv_cache: {memory: 512 MB, page_tokens: 32, dtype: int8}}
log: {level: off, format: json}
)";

TEST(Config, ReadsEveryKey) {
  const Result<Config> config = parse_config(kWhole, "two.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->file, "two.yaml");
  EXPECT_EQ(config->model.name, "smollm2-135m");
  EXPECT_EQ(config->model.path, "models/SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(config->model.where.to_string(), "two.yaml:2");
  ASSERT_TRUE(config->server.has_value());
  EXPECT_EQ(config->server->http->to_string(), "127.0.0.1:8081");
  EXPECT_EQ(config->server->grpc->host, "::1");
  EXPECT_EQ(config->server->grpc->to_string(), "[::1]:50051");
  EXPECT_EQ(config->server->max_request_bytes, 4u << 20);
  EXPECT_EQ(config->server->drain_seconds, 5);
  EXPECT_EQ(config->server->http_threads, 3);
  ASSERT_EQ(config->devices.size(), 2u);
  EXPECT_EQ(config->devices[0].kind, "cpu");
  EXPECT_THAT(config->devices[0].cores, ElementsAre(3));
  EXPECT_EQ(config->devices[0].numa_node, 1);
  EXPECT_EQ(config->devices[1].numa_node, std::nullopt);
  EXPECT_EQ(config->devices[1].name, "cpu1");
  EXPECT_EQ(config->devices[1].threads, 2);
  EXPECT_THAT(config->devices[1].cores, ElementsAre(4, 5, 6));
  EXPECT_EQ(config->devices[1].where.line, 7);
  ASSERT_EQ(config->stages.size(), 2u);
  EXPECT_EQ(config->stages[0].last_layer, 14);
  EXPECT_EQ(config->stages[1].device, "cpu1");
  EXPECT_EQ(config->stages[1].first_layer, 15);
  EXPECT_EQ(config->stages[1].last_layer, 15);
  EXPECT_EQ(config->stages[0].weights, "keep");
  EXPECT_EQ(config->stages[1].weights, "nvfp4");
  EXPECT_EQ(config->stages[0].activations, "auto");
  EXPECT_EQ(config->stages[1].activations, "nvfp4");
  EXPECT_EQ(config->stages[1].where.to_string(), "two.yaml:11");
  EXPECT_EQ(config->scheduler.max_sequences, 8);
  EXPECT_EQ(config->scheduler.max_queue, 9);
  EXPECT_EQ(config->scheduler.prefill_chunk_tokens, 128);
  EXPECT_EQ(config->scheduler.kv_cache_bytes, 512'000'000u);
  EXPECT_EQ(config->scheduler.page_tokens, 32);
  EXPECT_EQ(config->scheduler.kv_cache_dtype, "int8");
  EXPECT_EQ(config->scheduler.kv_cache_dtype_where.line, 13);
  EXPECT_EQ(config->log.level, "off");
  EXPECT_EQ(config->log.format, "json");
}

TEST(Config, FillsInWhatIsAbsent) {
  const Result<Config> config = parse_config("model: {path: a.gguf}", "a.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->server.has_value());
  ASSERT_EQ(config->devices.size(), 1u);
  EXPECT_EQ(config->devices[0].name, "cpu0");
  EXPECT_EQ(config->devices[0].kind, "cpu");
  EXPECT_EQ(config->devices[0].threads, 0);
  EXPECT_TRUE(config->stages.empty());
  EXPECT_EQ(config->scheduler.kv_cache_bytes, 1u << 30);
}

TEST(Config, DefaultIsOneCpuDevice) {
  const Config config = default_config("a.gguf", 3);
  EXPECT_EQ(config.model.path, "a.gguf");
  ASSERT_EQ(config.devices.size(), 1u);
  EXPECT_EQ(config.devices[0].name, "cpu0");
  EXPECT_EQ(config.devices[0].threads, 3);
  EXPECT_EQ(config.devices[0].where.to_string(), "default configuration");
}

TEST(Config, LoadsEveryFileOfTheConfigsFolder) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MOKUME_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const Result<Config> config = load_config(entry.path().string());
    EXPECT_TRUE(config.ok()) << config.status();
  }
  EXPECT_GE(files, 2);
  const Result<Config> quickstart = load_config(MOKUME_SOURCE_DIR "/configs/quickstart.yaml");
  ASSERT_TRUE(quickstart.ok()) << quickstart.status();
  EXPECT_EQ(quickstart->stages.size(), 2u);
  EXPECT_EQ(quickstart->server->http->to_string(), "127.0.0.1:8080");
}

TEST(Config, AFileThatCannotBeReadIsAnError) {
  const Result<Config> missing = load_config("/nonexistent/a.yaml");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(
      missing.status().message(),
      "[config] cannot read the configuration: No such file or directory (/nonexistent/a.yaml)");
  EXPECT_EQ(load_config("/").status().message(),
            "[config] cannot read the configuration: Is a directory (/)");
  EXPECT_EQ(load_config("/dev/zero").status().message(),
            "[config] the file is larger than 1.0 MiB (/dev/zero)");
}

}  // namespace
}  // namespace mokume
