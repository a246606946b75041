// tests/data/hf/tiny-qwen3_5 in memory, to be changed.
#pragma once

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/hf_spec.h"
#include "weights/safetensors.h"

namespace mokume::testing {

inline std::string bytes_of(const std::string& name) {
  std::ifstream file(MOKUME_SOURCE_DIR "/tests/data/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A safetensors file taken apart.
struct Safetensors {
  nlohmann::json header;
  std::string data;

  explicit Safetensors(const std::string& name) {
    const std::string bytes = bytes_of(name);
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof(size));
    header = nlohmann::json::parse(bytes.substr(8, size));
    data = bytes.substr(8 + size);
  }
  template <typename T>
  std::vector<T> values(const char* tensor) const {
    const size_t begin = header[tensor]["data_offsets"][0], end = header[tensor]["data_offsets"][1];
    std::vector<T> values((end - begin) / sizeof(T));
    std::memcpy(values.data(), data.data() + begin, end - begin);
    return values;
  }
};

/// What the reference implementation answers.
struct ExpectedLogits {
  std::vector<int32_t> prompt;
  std::vector<float> logits;
};

inline ExpectedLogits expected_logits(const std::string& directory) {
  const Safetensors file(directory + "/expected.safetensors");
  const auto ids = file.values<int64_t>("prompt");
  return {{ids.begin(), ids.end()}, file.values<float>("logits")};
}

struct TinyQwen3_5 {
  nlohmann::json config = nlohmann::json::parse(bytes_of("hf/tiny-qwen3_5/config.json"));
  Safetensors tensors{"hf/tiny-qwen3_5/model.safetensors"};
};

}  // namespace mokume::testing
