// What the output will hold: every tensor of a model with the name, order and type that it gets.
#pragma once

#include <string>
#include <vector>

#include "quantize/family.h"
#include "quantize/order.h"
#include "quantize/part.h"
#include "quantize/rule.h"
#include "weights/gguf_writer.h"
#include "weights/safetensors_writer.h"

namespace mokume {

struct PlannedPart {
  Part part;
  PartOrder order;
  DType type = DType::kF32;  ///< of a matrix; vectors and biases are F32
  std::string name;          ///< of a matrix without ".weight", of a vector in full
};

/// Borrows the spec.
struct OutputPlan {
  Container container = Container::kDirectory;
  Conventions conventions;
  std::vector<PlannedPart> parts;
};

OutputPlan make_plan(const ModelSpec& spec, const Family& family, WeightFormat format,
                     Container container);

/// Names of what a matrix is stored as beside its values; empty where there is no such tensor.
struct MatrixNames {
  std::string values;   ///< ".weight", or ".weight_packed"
  std::string scales;   ///< one a row or group
  std::string divisor;  ///< directories: of the whole matrix
  std::string scale;    ///< GGUF: 1 / divisor
};
MatrixNames matrix_names(const PlannedPart& planned);

/// The tensors of the files, in the order of the plan.
std::vector<SafetensorsTensor> directory_tensors(const OutputPlan& plan);
std::vector<GgufTensor> gguf_tensors(const OutputPlan& plan);

}  // namespace mokume
