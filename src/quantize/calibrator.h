// NVFP4 under the activations of a text: an Encoder that runs the model, layer by layer, as it is
// being quantized.
#pragma once

#include <map>
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

/// Takes the matrices layer after layer. A layer's inputs are those that the layers before it give
/// once they are quantized. Holds the text's hidden states, one layer in F32 and the second moments
/// of its inputs, a square matrix for each of them.
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

  Calibrator(std::shared_ptr<const Model> model, LayerRunner runner,
             const CalibrationOptions& options);
  Status enter_layer(int layer);
  Status leave_layer();
  void observe(std::span<const Linear* const> linears, std::span<const float> x, int tokens);
  Result<const Feedback*> feedback_for(const Hessian& hessian, const Order& columns);
  /// The layer goes on with what was encoded.
  Status replace(const EncodeJob& job, const EncodedMatrix& encoded);

  std::shared_ptr<const Model> model_;
  LayerRunner runner_;
  CalibrationOptions options_;
  int layer_ = -1;
  std::shared_ptr<Model> changed_;           // the model with what of the layer is encoded
  std::vector<std::vector<float>> weights_;  // that changed_ points to
  /// By the memory of the weights that the inputs go into.
  std::map<const std::byte*, std::shared_ptr<Hessian>> hessians_;
  std::optional<Feedback> feedback_;
  const Hessian* feedback_hessian_ = nullptr;
  Order feedback_columns_;
};

}  // namespace mokume
