// A calibration text's hidden states, taken through a model one layer at a time.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "device/device.h"

namespace mokume {

/// Holds the hidden states between two layers and, while one runs, that layer alone: weights,
/// keys and values of one sequence.
class LayerRunner {
 public:
  /// Embeds `ids`, cut into sequences of `sequence_tokens`; the last may be shorter.
  /// InvalidArgument for no ids or one outside the vocabulary. `device` outlives the result.
  static Result<LayerRunner> create(const Model& model, Device& device,
                                    std::span<const int32_t> ids, int sequence_tokens);

  /// Runs every sequence through layer `layer` of `model`, activations in F32. `observe` may be
  /// empty. The hidden states become the layer's outputs where `advance`.
  Status run(std::shared_ptr<const Model> model, int layer, LinearObserver observe, bool advance);

  /// [tokens, hidden]: what the next layer will take.
  std::span<const float> hidden() const { return hidden_; }

 private:
  Device* device_ = nullptr;
  int tokens_ = 0, sequence_tokens_ = 0;
  size_t width_ = 0;
  std::vector<float> hidden_;  // [tokens, width]
};

}  // namespace mokume
