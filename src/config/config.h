// The YAML file as plain structs. Every error names file, line and key, and what would be right.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mokume {

/// Where a value stood: "two-cpu.yaml:9".
struct ConfigLocation {
  std::string file;
  int line = 0;
  std::string to_string() const;
};

struct ModelConfig {
  std::string name;  ///< what clients call it; empty: the file's name without ending
  std::string path;  ///< relative paths are taken from the working directory
  ConfigLocation where;
};

struct ListenAddress {
  std::string host;   ///< "127.0.0.1", "::1", "0.0.0.0"
  uint16_t port = 0;  ///< 0: the system picks one (it is logged)
  std::string to_string() const;
};

struct ServerConfig {
  std::optional<ListenAddress> http;
  std::optional<ListenAddress> grpc;
  uint64_t max_request_bytes = 8u << 20;
  int drain_seconds = 30;  ///< how long running requests may go on after SIGTERM
  int http_threads = 2;
};

/// What a simulated device does wrong.
struct FaultConfig {
  std::string kind;  ///< "allocation", "launch", "copy", "asynchronous", "lost"; empty: nothing
  int at = 0;        ///< the how manieth of its kind, from 1
};

struct DeviceConfig {
  std::string name;
  std::string kind;              ///< "cpu", "cuda", "cuda-sim"
  int threads = 0;               ///< cpu; 0: one for every physical core, within the CPU quota
  std::vector<int> cores;        ///< cpu: pin to these; empty: no pinning
  std::optional<int> numa_node;  ///< cpu: threads and memory stay on it
  int index = 0;                 ///< cuda: which GPU, as the driver counts them
  std::string uuid;              ///< cuda: which GPU, "GPU-5fb8..."; empty: by index
  FaultConfig fault;             ///< cuda-sim
  ConfigLocation where;
};

struct StageConfig {
  std::string device;
  int first_layer = 0;  ///< inclusive, as written: "0-14"
  int last_layer = 0;   ///< inclusive
  ConfigLocation where;
  std::string weights = "keep";      ///< int8, fp16, bf16, nvfp4: what its layers are converted to
  std::string activations = "auto";  ///< int8, fp8, nvfp4: what matrices of that are multiplied by
};

struct SchedulerConfig {
  int max_sequences = 64;
  int max_queue = 256;
  int prefill_chunk_tokens = 256;
  uint64_t kv_cache_bytes = 1u << 30;
  int page_tokens = 16;
  std::string kv_cache_dtype = "auto";  ///< fp32, fp16, bf16, int16, int8, fp8
  ConfigLocation kv_cache_where, kv_cache_dtype_where;
};

struct LogConfig {
  std::string level = "info";   ///< trace, debug, info, warn, error, off
  std::string format = "text";  ///< text, json
};

struct Config {
  std::string file;
  ModelConfig model;
  std::optional<ServerConfig> server;  ///< absent in a file for the tool alone
  std::vector<DeviceConfig> devices;   ///< absent in the file: one CPU device "cpu0"
  std::vector<StageConfig> stages;     ///< absent in the file: all layers on the first device
  ConfigLocation placement_where;
  SchedulerConfig scheduler;
  LogConfig log;
};

/// Reads and checks one YAML file of at most 1 MiB; docs/configuration.md lists the keys and their
/// bounds. NotFound when there is no such file, otherwise InvalidArgument.
Result<Config> load_config(const std::string& path);
/// `file` is used in messages only.
Result<Config> parse_config(std::string_view yaml, const std::string& file);

/// What the tool runs without a configuration: all layers on one CPU device.
Config default_config(const std::string& model_path, int threads);

}  // namespace mokume
