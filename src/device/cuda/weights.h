// What a stage holds of each layer in the device's memory.
#pragma once

#include <variant>
#include <vector>

#include "base/status.h"
#include "device/carver.h"
#include "device/cuda/upload.h"
#include "device/device.h"
#include "kernels/cuda/kernels.h"

namespace mokume::cuda {

/// Of what lies in a stage's block of memory.
inline constexpr uint64_t kPieceAlignment = 256;

// Pointers are the device's.

struct NormWeights {
  const float* weight = nullptr;
  float epsilon = 0;
};

struct AttentionWeights {
  const Attention* spec = nullptr;
  Matrix q, k, v, o;
  NormWeights q_norm, k_norm;  ///< of every head; no weight where there is none
  const float* inverse_frequencies = nullptr;
  KvCache kv;
};

struct DeltaNetWeights {
  const DeltaNet* spec = nullptr;
  Matrix qkv, z, a, b, o;
  const float* conv = nullptr;  ///< [kernel][channels]
  const float* decay_rate = nullptr;
  const float* dt_bias = nullptr;
  NormWeights norm;
  float* states = nullptr;       ///< [state_slots][value_heads][key_dim][value_dim]
  float* conv_states = nullptr;  ///< [state_slots][conv_kernel][channels]
};

struct SwiGluWeights {
  int hidden = 0;
  Matrix gate, up, down;
};

struct LayerWeights {
  NormWeights mixer_norm, ffn_norm;
  std::variant<AttentionWeights, DeltaNetWeights> mixer;
  SwiGluWeights ffn;
};

/// Floats of one sequence's states in a layer, as the kernels have them.
inline uint64_t matrix_state_floats(const DeltaNet& net) {
  return static_cast<uint64_t>(net.value_width()) * static_cast<uint64_t>(net.key_dim);
}
inline uint64_t conv_state_floats(const DeltaNet& net) {
  return static_cast<uint64_t>(net.channels()) * static_cast<uint64_t>(net.conv_kernel);
}

/// A stage's weights, KV pages and recurrent states, each with its place in a block of memory.
struct StageWeights {
  StageWeights() = default;
  StageWeights(const StageWeights&) = delete;  // copies point into it
  StageWeights& operator=(const StageWeights&) = delete;

  /// A tensor to be converted, and where to.
  struct MatrixCopy {
    const Linear* linear;
    WeightFormat held;
    Matrix* to;
  };
  struct FloatCopy {
    const std::byte* from;  ///< F32
    uint64_t count;
    float* to;
  };
  /// What belongs to one layer, or to the ends of the model.
  struct Copies {
    std::vector<MatrixCopy> matrices;
    std::vector<FloatCopy> floats;
  };

  std::vector<LayerWeights> layers;
  Matrix embedding, head;  ///< of a stage that has them
  NormWeights final_norm;
  std::vector<Copies> copies;             ///< one a layer, and the ends last
  std::vector<std::vector<float>> convs;  ///< transposed, in the host's memory
  Linear embedding_linear;                ///< the table, for its copy
  uint64_t weight_bytes = 0, kv_bytes = 0, state_bytes = 0;
};

/// Where everything lies, with pieces taken from `carver`; nothing is copied. `weights` is new.
/// Errors: a weight that no format of the device takes.
Status place_weights(const StageOptions& options, Carver& carver, StageWeights& weights);

/// Copies what place_weights() gave a place to there.
Status upload_weights(const StageOptions& options, StageWeights& weights, Uploader& uploader);

}  // namespace mokume::cuda
