// What there is to say about a checkpoint before it runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/model_spec.h"

namespace mokume {

/// Weights of one format, the scales they are multiplied by counted in.
struct FormatShare {
  int tensors = 0;
  uint64_t parameters = 0;
  uint64_t bytes = 0;

  double bits_per_parameter() const {
    return parameters == 0 ? 0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(parameters);
  }
};

using Formats = std::map<std::string, FormatShare>;  ///< by name: "NVFP4", "BF16"

struct LayerReport {
  std::string mixer;         ///< "attention" or "delta net"
  Formats matrices;          ///< its linear weights
  uint64_t bytes = 0;        ///< all of it
  uint64_t kv_bytes = 0;     ///< F16, a token
  uint64_t state_bytes = 0;  ///< F32, a sequence
};

struct ModelReport {
  std::string path;
  std::string container;  ///< "GGUF v3", "Hugging Face directory"
  std::string name, architecture;
  int vocab_size = 0, hidden_size = 0, context_length = 0;
  bool tied_head = false;
  Attention attention;           ///< of the first layer that has it
  std::vector<DeltaNet> deltas;  ///< of the first layer that has one; empty in models without
  int attention_layers = 0;
  int ffn_hidden = 0;
  std::string tokenizer;
  std::vector<LayerReport> layers;
  Formats formats;              ///< of all weights
  std::string embedding, head;  ///< "[248320, 4096] BF16"
  uint64_t parameters = 0;
  uint64_t embedding_bytes = 0, layers_bytes = 0, head_bytes = 0;  ///< a tied head has none
  uint64_t total_bytes = 0;                                        ///< what a run needs
  uint64_t stored_bytes = 0;        ///< all tensors of the checkpoint, those that no layer uses too
  uint64_t kv_bytes_per_token = 0;  ///< F16
  uint64_t state_bytes = 0;         ///< F32, a sequence
};

/// Reads headers only.
Result<ModelReport> inspect_model(const std::string& path);

}  // namespace mokume
