#include "quantize/calibrator.h"

#include <utility>

#include "quantize/calibrated_nvfp4.h"
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
    : model_(std::move(model)), runner_(std::move(runner)), options_(options) {}

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
  const auto hessian = hessians_.find(job.part.linear.weight.data);
  if (hessian == hessians_.end()) return encode_plainly(job);
  MKM_ASSIGN_OR_RETURN(const Feedback* feedback,
                       feedback_for(*hessian->second, job.rows.order().columns));
  const auto read = [&](int64_t row, std::span<float> out) { return job.rows.read(row, out); };
  MKM_ASSIGN_OR_RETURN(EncodedMatrix encoded,
                       calibrated_nvfp4(job.rows.rows(), read, *feedback, options_.threads));
  MKM_RETURN_IF_ERROR(replace(job, encoded));
  return encoded;
}

Status Calibrator::enter_layer(int layer) {
  if (layer_ >= 0) MKM_RETURN_IF_ERROR(leave_layer());
  layer_ = layer;
  changed_ = std::make_shared<Model>(*model_);
  return runner_.run(
      model_, layer, [this](auto linears, auto x, int tokens) { observe(linears, x, tokens); },
      false);
}

Status Calibrator::leave_layer() {
  hessians_.clear();
  feedback_.reset();
  feedback_hessian_ = nullptr;
  MKM_RETURN_IF_ERROR(runner_.run(std::exchange(changed_, nullptr), layer_, {}, true));
  weights_.clear();
  return absl::OkStatus();
}

void Calibrator::observe(std::span<const Linear* const> linears, std::span<const float> x,
                         int tokens) {
  std::shared_ptr<Hessian>& first = hessians_[linears[0]->weight.data];
  const auto columns = static_cast<int>(linears[0]->weight.columns());
  if (columns % kGroup != 0) return;
  if (!first) first = std::make_shared<Hessian>(columns, options_.threads);
  first->add(x, tokens);
  for (const Linear* linear : linears) hessians_[linear->weight.data] = first;
}

Result<const Feedback*> Calibrator::feedback_for(const Hessian& hessian, const Order& columns) {
  const bool known = feedback_ && feedback_hessian_ == &hessian && feedback_columns_ == columns;
  if (!known) {
    feedback_.reset();
    MKM_ASSIGN_OR_RETURN(feedback_,
                         Feedback::create(hessian, columns, options_.damping, options_.threads));
    feedback_hessian_ = &hessian;
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
    const int64_t source = row_order.empty() ? row : row_order[static_cast<size_t>(row)];
    for (int64_t i = 0; i < columns; ++i) {
      const int64_t column = column_order.empty() ? i : column_order[static_cast<size_t>(i)];
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
