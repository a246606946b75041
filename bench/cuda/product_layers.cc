#include <future>
#include <numeric>

#include "bench/cuda/layers.h"
#include "device/cuda/cuda_stage.h"
#include "device/cuda/weights.h"
#include "device/worker.h"

namespace mokume::bench {
namespace {

constexpr int kPageTokens = 16;
constexpr int kPagesEach = 4096 / kPageTokens;

class ProductLayers : public Layers {
 public:
  ProductLayers(const StageOptions& options, cuda::Gpu& gpu)
      : stage_(std::make_unique<cuda::CudaStage>(options, gpu, worker_, "gpu")) {}

  Status load() {
    Status status;
    worker_.run([&] { status = stage_->load(); });
    return status;
  }

  Status step(const DecodeShape& shape, const float* in, float* out) override {
    const DecodeStep made(shape);
    StageStep step = made.step();
    step.hidden_in = in;
    step.hidden_out = out;
    std::promise<Status> done;
    stage_->enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
    return done.get_future().get();
  }

 private:
  DeviceWorker worker_;
  std::unique_ptr<cuda::CudaStage> stage_;  // goes first: it uses the worker
};

}  // namespace

DecodeStep::DecodeStep(const DecodeShape& shape)
    : ids_(static_cast<size_t>(shape.tokens)), pages_(ids_.size() * kPagesEach) {
  std::iota(pages_.begin(), pages_.end(), 0);
  for (int t = 0; t < shape.tokens; ++t) {
    const std::span<const int32_t> all(pages_);
    slices_.push_back({t, 1, shape.positions - 1,
                       all.subspan(static_cast<size_t>(t) * kPagesEach, kPagesEach), t});
  }
}

StageStep DecodeStep::step() const {
  StageStep step;
  step.token_ids = ids_;
  step.sequences = slices_;
  return step;
}

StageOptions layer_options(std::shared_ptr<const Model> model, int first, int last, int tokens) {
  StageOptions options{std::move(model), first, last};
  options.kv_pages = kPagesEach * tokens;
  options.page_tokens = kPageTokens;
  options.state_slots = options.max_tokens = options.max_logit_rows = tokens;
  return options;
}

double Held::bytes_of_step(const StageOptions& options, const DecodeShape& shape) const {
  const double all_positions = static_cast<double>(options.kv_pages) * options.page_tokens;
  return static_cast<double>(weights) + 2 * static_cast<double>(states) +
         static_cast<double>(kv) * shape.tokens * shape.positions / all_positions;
}

Result<Held> held_by(const StageOptions& options) {
  cuda::StageWeights weights;
  Carver counting(nullptr, cuda::kPieceAlignment);
  MKM_RETURN_IF_ERROR(cuda::place_weights(options, counting, weights));
  return Held{weights.weight_bytes, weights.kv_bytes, weights.state_bytes, counting.used()};
}

Result<std::unique_ptr<Layers>> make_product_layers(const StageOptions& options, cuda::Gpu& gpu) {
  auto layers = std::make_unique<ProductLayers>(options, gpu);
  MKM_RETURN_IF_ERROR(layers->load());
  return layers;
}

}  // namespace mokume::bench
