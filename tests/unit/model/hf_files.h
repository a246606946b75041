// A Hugging Face directory in memory, to be changed; shares no code with the reader.
#pragma once

#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/hf_spec.h"
#include "weights/safetensors.h"

namespace mokume::testing {

struct StoredTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string bytes;

  template <typename T>
  T at(size_t index) const {
    T value;
    std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
    return value;
  }
  template <typename T>
  void set(size_t index, T value) {
    std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
  }
};

struct HfFiles {
  nlohmann::json config;
  std::optional<nlohmann::json> modelopt;  ///< hf_quant_config.json
  std::map<std::string, StoredTensor> tensors;

  explicit HfFiles(const std::string& directory) {
    const std::string folder = MOKUME_SOURCE_DIR "/tests/data/hf/" + directory + "/";
    const auto text_of = [&](const char* name) {
      std::ifstream file(folder + name, std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(file), {});
    };
    config = nlohmann::json::parse(text_of("config.json"));
    const std::string quant_config = text_of("hf_quant_config.json");
    if (!quant_config.empty()) modelopt = nlohmann::json::parse(quant_config);
    const std::string file = text_of("model.safetensors");
    uint64_t size = 0;
    std::memcpy(&size, file.data(), sizeof(size));
    const nlohmann::json header = nlohmann::json::parse(file.substr(8, size));
    for (const auto& [name, info] : header.items()) {
      if (name == "__metadata__") continue;
      const size_t begin = info["data_offsets"][0], end = info["data_offsets"][1];
      tensors[name] = {info["dtype"], info["shape"].get<std::vector<int64_t>>(),
                       file.substr(8 + size + begin, end - begin)};
    }
  }

  /// Keeps what the spec's views point into.
  Result<ModelSpec> load() {
    nlohmann::json header;
    std::string data;
    for (const auto& [name, tensor] : tensors) {
      header[name] = {{"dtype", tensor.dtype},
                      {"shape", tensor.shape},
                      {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
      data += tensor.bytes;
    }
    const std::string text = header.dump();
    const uint64_t size = text.size();
    std::vector<std::byte> file(8 + text.size() + data.size());
    std::memcpy(file.data(), &size, sizeof(size));
    std::memcpy(file.data() + 8, text.data(), text.size());
    std::memcpy(file.data() + 8 + text.size(), data.data(), data.size());
    MKM_ASSIGN_OR_RETURN(file_, SafetensorsFile::from_bytes(std::move(file), "tiny.safetensors"));
    MKM_ASSIGN_OR_RETURN(const JsonConfig parsed,
                         JsonConfig::from_text(config.dump(), "config.json"));
    if (!modelopt) return load_hf_spec(parsed, *file_);
    MKM_ASSIGN_OR_RETURN(const JsonConfig quant_config,
                         JsonConfig::from_text(modelopt->dump(), "hf_quant_config.json"));
    return load_hf_spec(parsed, *file_, &quant_config);
  }

 private:
  std::shared_ptr<SafetensorsFile> file_;
};

/// Every linear layer of the blocks.
inline std::vector<const Linear*> linears(const ModelSpec& spec) {
  std::vector<const Linear*> all;
  for (const LayerSpec& layer : spec.layers) {
    if (const auto* attention = std::get_if<Attention>(&layer.mixer)) {
      all.insert(all.end(), {&attention->q, &attention->k, &attention->v, &attention->o});
    } else {
      const auto& net = std::get<DeltaNet>(layer.mixer);
      all.insert(all.end(), {&net.qkv, &net.z, &net.a, &net.b, &net.o});
    }
    const auto& ffn = std::get<SwiGlu>(layer.ffn);
    all.insert(all.end(), {&ffn.gate, &ffn.up, &ffn.down});
  }
  return all;
}

}  // namespace mokume::testing
