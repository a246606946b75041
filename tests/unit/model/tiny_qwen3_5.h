// tests/data/hf/tiny-qwen3_5 in memory, to be changed.
#pragma once

#include <cstring>
#include <fstream>
#include <map>
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
  struct Tensor {
    std::string dtype;
    std::vector<int> shape;
    std::string data;
  };
  std::map<std::string, Tensor> tensors;

  explicit Safetensors(const std::string& name) {
    const std::string bytes = bytes_of(name);
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof(size));
    const auto header = nlohmann::json::parse(bytes.substr(8, size));
    for (const auto& [tensor, entry] : header.items()) {
      if (tensor == "__metadata__") continue;
      const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
      tensors[tensor] = {entry["dtype"], entry["shape"],
                         bytes.substr(8 + size + begin, end - begin)};
    }
  }
  std::vector<std::byte> bytes() const {
    nlohmann::json header;
    std::string data;
    for (const auto& [name, tensor] : tensors) {
      header[name] = {{"dtype", tensor.dtype},
                      {"shape", tensor.shape},
                      {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
      data += tensor.data;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const uint64_t size = text.size();
    std::vector<std::byte> all(8 + text.size() + data.size());
    std::memcpy(all.data(), &size, sizeof(size));
    std::memcpy(all.data() + 8, text.data(), text.size());
    std::memcpy(all.data() + 8 + text.size(), data.data(), data.size());
    return all;
  }
  /// Zeros, F32, in place of what has that name.
  void add(const std::string& name, const std::vector<int>& shape) {
    size_t size = sizeof(float);
    for (const int dim : shape) size *= static_cast<size_t>(dim);
    tensors[name] = {"F32", shape, std::string(size, '\0')};
  }
  template <typename T>
  std::vector<T> values(const std::string& name) const {
    const std::string& data = tensors.at(name).data;
    std::vector<T> values(data.size() / sizeof(T));
    std::memcpy(values.data(), data.data(), data.size());
    return values;
  }
  void set_first(const std::string& name, float value) {
    std::memcpy(tensors.at(name).data.data(), &value, sizeof(value));
  }
  /// Cuts every F32 to its upper half.
  void make_bf16() {
    for (auto& [name, tensor] : tensors) {
      std::string halves;
      for (size_t i = 0; i < tensor.data.size(); i += 4) halves += tensor.data.substr(i + 2, 2);
      tensor = {"BF16", tensor.shape, halves};
    }
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

/// What a test changes before load().
struct TinyQwen3_5 {
  nlohmann::json config = nlohmann::json::parse(bytes_of("hf/tiny-qwen3_5/config.json"));
  Safetensors file{"hf/tiny-qwen3_5/model.safetensors"};

  Result<Model> load() const {
    MKM_ASSIGN_OR_RETURN(auto weights, SafetensorsFile::from_bytes(file.bytes(), "tiny"));
    MKM_ASSIGN_OR_RETURN(const auto json, JsonConfig::from_text(config.dump(), "config.json"));
    MKM_ASSIGN_OR_RETURN(ModelSpec spec, load_hf_spec(json, *weights));
    return Model{std::move(spec), weights};
  }

  /// As released checkpoints are: beside a vision tower (3 tensors here) and a layer that predicts
  /// a second token (2).
  void make_vision_language() {
    nlohmann::json text = config;
    text["mtp_num_hidden_layers"] = 1;
    text["partial_rotary_factor"] = 0.25;
    text["rope_parameters"]["mrope_interleaved"] = true;
    text["rope_parameters"]["mrope_section"] = {2, 1, 1};
    config = {{"model_type", "qwen3_5"},
              {"text_config", text},
              {"tie_word_embeddings", false},
              {"vision_config", {{"depth", 1}, {"hidden_size", 12}, {"hidden_act", "gelu"}}}};
    const auto old = std::move(file.tensors);
    file.tensors.clear();
    for (const auto& [name, tensor] : old) {
      const bool text_model = name.starts_with("model.");
      file.tensors[text_model ? "model.language_model." + name.substr(6) : name] = tensor;
    }
    file.add("model.visual.patch_embed.proj.weight", {4, 3, 2, 1, 1});
    file.add("model.visual.blocks.0.norm1.weight", {12});
    file.add("model.visual.merger.norm.bias", {12});
    file.add("mtp.fc.weight", {64, 128});
    file.add("mtp.layers.0.self_attn.q_norm.weight", {32});
  }
};

}  // namespace mokume::testing
