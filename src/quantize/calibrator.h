// NVFP4 under the activations of a text: an Encoder that runs the model, layer by layer, as it is
// being quantized.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "device/device.h"
#include "quantize/encoder.h"
#include "quantize/feedback.h"
#include "quantize/hessian.h"
#include "quantize/layer_runner.h"

namespace mokume {

struct CalibrationOptions {
  int sequence_tokens = 512;  ///< the text is cut into sequences of so many
  double damping = 0.01;      ///< of the mean of the second moments' diagonal, added to it
  int threads = 1;
};

/// Takes the matrices layer after layer, and within a layer in the order in which it multiplies
/// them: the inputs of each are those that all before it give once they are quantized. Those that
/// add to the hidden states are to bring them to where the model itself has them, so that what
/// layers before did wrong is made up for. Holds the text's hidden states thrice, one layer in F32
/// and the moments of one input.
class Calibrator {
 public:
  /// `device` outlives the result. InvalidArgument for no ids or ids outside the vocabulary.
  static Result<Calibrator> create(std::shared_ptr<const Model> model, Device& device,
                                   std::span<const int32_t> ids, const CalibrationOptions& options);

  /// Matrices in other types than E2M1 are encoded for themselves. InternalError when a layer was
  /// left behind already.
  Result<EncodedMatrix> encode(const EncodeJob& job);

 private:
  using Order = std::vector<int64_t>;

  /// Linear layers with a common input.
  struct Group {
    std::vector<const std::byte*> weights;
    Hessian moments;
    std::optional<Correlation> wanted;  ///< of the linear that adds to the hidden states
    int tokens = 0;                     ///< seen so far
  };

  Calibrator(std::shared_ptr<const Model> model, LayerRunner runner,
             const CalibrationOptions& options);
  Status enter_layer(int layer);
  Status leave_layer();
  /// Makes group_ that of `linear`.
  Status observe_group(const Linear& linear);
  void add(const LinearInputs& inputs);
  Result<const Feedback*> feedback_for(const Order& columns);
  /// The layer goes on with what was encoded.
  Status replace(const EncodeJob& job, const EncodedMatrix& encoded);

  std::shared_ptr<const Model> model_;
  LayerRunner reference_;  // of the model as it is
  LayerRunner runner_;     // of the model as it is quantized
  CalibrationOptions options_;
  int layer_ = -1;
  // The reference's states once the layer's mixer has added to them, and the linear that did.
  std::vector<float> after_mixer_;
  const std::byte* mixer_output_ = nullptr;
  std::shared_ptr<Model> changed_;           // the model with what of the layer is encoded
  std::vector<std::vector<float>> weights_;  // that changed_ points to
  std::optional<Group> group_;
  std::optional<Feedback> feedback_;  // of the group, in this order of columns
  Order feedback_columns_;
};

}  // namespace mokume
