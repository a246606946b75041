// What a stage holds of each layer, ready for the kernels.
#pragma once

#include <variant>
#include <vector>

#include "base/status.h"
#include "device/cpu/memory.h"
#include "device/cpu/packed_linear.h"
#include "device/device.h"

namespace mokume {

/// A norm's weights stay in the checkpoint's mapping.
struct NormWeights {
  const float* weight = nullptr;
  float epsilon = 0;
};

struct AttentionWeights {
  const Attention* spec = nullptr;
  PackedLinear q, k, v, o;
  NormWeights q_norm, k_norm;  ///< of every head; no weight where there is none
  int rope_table = 0;          ///< which of the stage's tables of cosines and sines
};

struct DeltaNetWeights {
  const DeltaNet* spec = nullptr;
  PackedLinear qkv, z, a, b, o;
  const float* conv = nullptr;  ///< [kernel][channels], in StageWeights::convs
  const float* decay_rate = nullptr;
  const float* dt_bias = nullptr;
  NormWeights norm;
};

struct SwiGluWeights {
  int hidden = 0;
  PackedLinear gate, up, down;
};

struct LayerWeights {
  NormWeights mixer_norm, ffn_norm;
  std::variant<AttentionWeights, DeltaNetWeights> mixer;
  SwiGluWeights ffn;
};

struct StageWeights {
  /// Every packed matrix, one after another in the order of use: large pages, and one stream to
  /// read.
  Buffer storage;
  std::vector<LayerWeights> layers;
  std::vector<std::vector<float>> convs;  ///< of the DeltaNet layers, transposed
  std::vector<const Rope*> ropes;         ///< the different ones among the layers
  const TensorView* embedding = nullptr;
  NormWeights final_norm;
  PackedLinear head;
  bool head_is_embedding = false;  ///< its rows, in panels, are the embedding's values
};

/// Bytes that load_weights() will allocate.
uint64_t weight_bytes(const StageOptions& options, ProductEngines& engines);
/// Bytes that it needs beside them while it converts, one linear layer at a time.
uint64_t conversion_bytes(const StageOptions& options);

Result<StageWeights> load_weights(const StageOptions& options, ThreadPool& pool,
                                  ProductEngines& engines);

}  // namespace mokume
