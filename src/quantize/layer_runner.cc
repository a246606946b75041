#include "quantize/layer_runner.h"

#include <algorithm>
#include <future>
#include <numeric>

#include "base/checked.h"

namespace mokume {
namespace {

constexpr int kPageTokens = 16;

Status run_and_wait(Stage& stage, const StageStep& step) {
  std::promise<Status> done;
  stage.enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

}  // namespace

Result<LayerRunner> LayerRunner::create(const Model& model, Device& device,
                                        std::span<const int32_t> ids, int sequence_tokens) {
  if (ids.empty()) return invalid_argument("quantize", "the calibration text is empty");
  LayerRunner runner;
  runner.device_ = &device;
  runner.tokens_ = static_cast<int>(ids.size());
  runner.sequence_tokens_ = sequence_tokens;
  runner.width_ = static_cast<size_t>(model.spec.hidden_size);
  runner.hidden_.resize(ids.size() * runner.width_);
  for (size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] < 0 || ids[t] >= model.spec.vocab_size) {
      return invalid_argument("quantize", "token ", t, " of the calibration text has id ", ids[t],
                              ", outside the vocabulary of ", model.spec.vocab_size);
    }
    dequantize_row(model.spec.embedding, ids[t],
                   std::span(runner.hidden_).subspan(t * runner.width_, runner.width_));
  }
  return runner;
}

Status LayerRunner::run(std::shared_ptr<const Model> model, int layer, LinearObserver observe,
                        bool advance) {
  std::vector<int32_t> pages(static_cast<size_t>(div_up(sequence_tokens_, kPageTokens)));
  std::iota(pages.begin(), pages.end(), 0);
  StageOptions options;
  options.model = std::move(model);
  options.first_layer = layer;
  options.last_layer = layer + 1;
  options.exact = true;
  options.kv_pages = static_cast<int>(pages.size());
  options.page_tokens = kPageTokens;
  options.state_slots = 1;
  options.max_tokens = sequence_tokens_;
  options.observe = std::move(observe);
  MKM_ASSIGN_OR_RETURN(const std::unique_ptr<Stage> stage, device_->make_stage(options));
  const std::vector<int32_t> no_ids(static_cast<size_t>(sequence_tokens_));
  std::vector<float> out(static_cast<size_t>(sequence_tokens_) * width_);
  for (int first = 0; first < tokens_; first += sequence_tokens_) {
    const int count = std::min(sequence_tokens_, tokens_ - first);
    const SequenceSlice slice{0, count, 0, pages};
    float* states = hidden_.data() + static_cast<size_t>(first) * width_;
    StageStep step;
    step.token_ids = {no_ids.data(), static_cast<size_t>(count)};
    step.sequences = {&slice, 1};
    step.hidden_in = states;
    step.hidden_out = out.data();
    MKM_RETURN_IF_ERROR(run_and_wait(*stage, step));
    if (advance) std::copy_n(out.data(), static_cast<size_t>(count) * width_, states);
  }
  return absl::OkStatus();
}

}  // namespace mokume
