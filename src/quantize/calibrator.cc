#include "quantize/calibrator.h"

#include <algorithm>
#include <utility>

#include "quantize/calibrated_nvfp4.h"
#include "quantize/order.h"
#include "quantize/parallel.h"
#include "tensor/float8.h"

namespace mokume {
namespace {

constexpr int64_t kGroup = 16;

std::vector<Linear*> linears_of(LayerSpec& layer) {
  std::vector<Linear*> linears;
  if (auto* attention = std::get_if<Attention>(&layer.mixer)) {
    linears = {&attention->q, &attention->k, &attention->v, &attention->o};
  } else {
    auto& net = std::get<DeltaNet>(layer.mixer);
    linears = {&net.qkv, &net.z, &net.a, &net.b, &net.o};
  }
  auto& ffn = std::get<SwiGlu>(layer.ffn);
  linears.insert(linears.end(), {&ffn.gate, &ffn.up, &ffn.down});
  return linears;
}

int64_t element(const Order& order, int64_t i) {
  return order.empty() ? i : order[static_cast<size_t>(i)];
}

void dequantize_e2m1(const EncodedMatrix& encoded, int64_t first, std::span<float> row) {
  for (size_t i = 0; i < row.size(); ++i) {
    const size_t at = static_cast<size_t>(first) + i;
    const int byte = std::to_integer<int>(encoded.values[at / 2]);
    const auto scale = std::to_integer<uint8_t>(encoded.scales[at / kGroup]);
    row[i] = e2m1_to_float(at % 2 == 0 ? byte & 15 : byte >> 4) *
             (e4m3_to_float(scale) / encoded.divisor);
  }
}

}  // namespace

Calibrator::Calibrator(std::shared_ptr<const Model> model, LayerRunner runner,
                       const CalibrationOptions& options)
    : model_(std::move(model)), reference_(runner), runner_(std::move(runner)), options_(options) {}

Result<Calibrator> Calibrator::create(std::shared_ptr<const Model> model, Device& device,
                                      std::span<const int32_t> ids,
                                      const CalibrationOptions& options) {
  MKM_ASSIGN_OR_RETURN(LayerRunner runner,
                       LayerRunner::create(*model, device, ids, options.sequence_tokens));
  return Calibrator(std::move(model), std::move(runner), options);
}

Result<EncodedMatrix> Calibrator::encode(const EncodeJob& job) {
  if (job.type != DType::kE2M1 || job.part.layer < 0) return encode_plainly(job);
  if (job.part.layer < layer_) {
    return internal_error("quantize", "layer ", job.part.layer, " comes after layer ", layer_);
  }
  while (layer_ < job.part.layer) MKM_RETURN_IF_ERROR(enter_layer(layer_ + 1));
  const Linear& linear = job.part.linear;
  if (!group_ || std::ranges::count(group_->weights, linear.weight.data) == 0)
    MKM_RETURN_IF_ERROR(observe_group(linear));
  MKM_ASSIGN_OR_RETURN(const Feedback* feedback, feedback_for(job.rows.order().columns));
  CalibratedMatrix matrix;
  matrix.rows = job.rows.rows();
  matrix.weights = [&](int64_t row, std::span<float> out) { return job.rows.read(row, out); };
  if (group_->wanted) {
    matrix.wanted = [&](int64_t row, std::span<float> out) {
      const auto& [rows, columns] = job.rows.order();
      const std::span<const float> sums = group_->wanted->row(element(rows, row));
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = sums[static_cast<size_t>(element(columns, static_cast<int64_t>(i)))];
      return absl::OkStatus();
    };
  }
  MKM_ASSIGN_OR_RETURN(EncodedMatrix encoded,
                       calibrated_nvfp4(matrix, *feedback, options_.threads));
  MKM_RETURN_IF_ERROR(replace(job, encoded));
  return encoded;
}

Status Calibrator::enter_layer(int layer) {
  if (layer_ >= 0) MKM_RETURN_IF_ERROR(leave_layer());
  layer_ = layer;
  changed_ = std::make_shared<Model>(*model_);
  after_mixer_.clear();
  mixer_output_ = nullptr;
  const auto watch = [this](const LinearInputs& inputs) {
    if (inputs.added_to.empty()) return true;
    const std::byte* weights = inputs.linears[0]->weight.data;
    if (mixer_output_ == nullptr) mixer_output_ = weights;
    if (weights != mixer_output_)
      after_mixer_.insert(after_mixer_.end(), inputs.added_to.begin(), inputs.added_to.end());
    return true;
  };
  return reference_.run(model_, layer, watch, true);
}

Status Calibrator::leave_layer() {
  group_.reset();
  MKM_RETURN_IF_ERROR(runner_.run(std::exchange(changed_, nullptr), layer_, {}, true));
  weights_.clear();
  return absl::OkStatus();
}

Status Calibrator::observe_group(const Linear& linear) {
  group_.reset();
  feedback_.reset();
  const auto watch = [&](const LinearInputs& inputs) {
    const auto is_asked_for = [&](const Linear* l) { return l->weight.data == linear.weight.data; };
    if (std::ranges::none_of(inputs.linears, is_asked_for)) return true;
    add(inputs);
    return false;
  };
  MKM_RETURN_IF_ERROR(runner_.run(changed_, layer_, watch, false));
  if (!group_)
    return internal_error("quantize", "tensor ", linear.weight.name, " is not multiplied in layer ",
                          layer_);
  return absl::OkStatus();
}

void Calibrator::add(const LinearInputs& inputs) {
  const Linear& first = *inputs.linears[0];
  const auto columns = static_cast<int>(first.weight.columns());
  const auto rows = static_cast<int>(first.weight.rows());
  if (!group_) {
    group_.emplace(Group{.moments = Hessian(columns, options_.threads)});
    for (const Linear* linear : inputs.linears) group_->weights.push_back(linear->weight.data);
    if (!inputs.added_to.empty()) group_->wanted.emplace(rows, columns, options_.threads);
  }
  group_->moments.add(inputs.x, inputs.tokens);
  if (group_->wanted) {
    const std::span<const float> goal = first.weight.data == mixer_output_
                                            ? std::span<const float>(after_mixer_)
                                            : reference_.hidden();
    const size_t begin = static_cast<size_t>(group_->tokens) * static_cast<size_t>(rows);
    std::vector<float> missing(inputs.added_to.size());
    std::vector<float> bias(static_cast<size_t>(rows));
    if (first.bias) dequantize_row(first.bias, 0, bias);
    for (size_t i = 0; i < missing.size(); ++i)
      missing[i] = goal[begin + i] - inputs.added_to[i] - bias[i % bias.size()];
    group_->wanted->add(missing, inputs.x, inputs.tokens);
  }
  group_->tokens += inputs.tokens;
}

Result<const Feedback*> Calibrator::feedback_for(const Order& columns) {
  if (!feedback_ || feedback_columns_ != columns) {
    feedback_.reset();
    MKM_ASSIGN_OR_RETURN(
        feedback_, Feedback::create(group_->moments, columns, options_.damping, options_.threads));
    feedback_columns_ = columns;
  }
  return &*feedback_;
}

Status Calibrator::replace(const EncodeJob& job, const EncodedMatrix& encoded) {
  const auto& [row_order, column_order] = job.rows.order();
  const int64_t rows = job.rows.rows(), columns = job.rows.columns();
  std::vector<float> weights(static_cast<size_t>(rows * columns));
  const auto write = [&](int64_t row, std::span<float> buffer) {
    dequantize_e2m1(encoded, row * columns, buffer);
    const int64_t source = element(row_order, row);
    for (int64_t i = 0; i < columns; ++i) {
      const int64_t column = element(column_order, i);
      weights[static_cast<size_t>(source * columns + column)] = buffer[static_cast<size_t>(i)];
    }
    return absl::OkStatus();
  };
  MKM_RETURN_IF_ERROR(for_each_row(rows, columns, options_.threads, write));
  for (Linear* linear : linears_of(changed_->spec.layers[static_cast<size_t>(layer_)])) {
    if (linear->weight.data != job.part.linear.weight.data) continue;
    linear->weight.data = reinterpret_cast<const std::byte*>(weights.data());
    linear->weight.bytes = weights.size() * sizeof(float);
    linear->weight.dtype = DType::kF32;
    linear->scales = {};
    linear->scale = linear->divisor = 1;
  }
  weights_.push_back(std::move(weights));
  return absl::OkStatus();
}

}  // namespace mokume
