#include "device/held_format.h"

#include "model/convert.h"

namespace mokume {
namespace {

WeightFormat rounded(const StageOptions& options, const Linear& linear, WeightFormat format) {
  const bool keeps = options.exact && format == WeightFormat::kKeep;
  return keeps && linear.weight.dtype == DType::kE2M1 ? WeightFormat::kBF16 : format;
}

}  // namespace

WeightFormat held_format(const StageOptions& options, const LayerSpec& layer,
                         const Linear& linear) {
  return rounded(options, linear, layer_format(layer, linear, options.weights));
}

WeightFormat held_head_format(const StageOptions& options) {
  const Linear& head = options.model->spec.head;
  return rounded(options, head, head_format(head, options.weights));
}

}  // namespace mokume
