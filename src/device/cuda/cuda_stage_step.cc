// How a CUDA stage runs one step: pass by pass, each from pinned memory and back to it.
#include <algorithm>
#include <cstring>

#include "device/check_step.h"
#include "device/cuda/cuda_stage.h"

namespace mokume::cuda {

Status CudaStage::run_step(const StageStep& step) {
  MKM_RETURN_IF_ERROR(check_step("cuda", step, options_));
  plan_.plan(step, options_.page_tokens, options_.exact);
  for (size_t i = 0; i < plan_.size(); ++i) {
    const Status status = run_pass(plan_[i], step);
    if (status.ok()) continue;
    // What was put on the stream before the error must not meet the next step's inputs.
    gpu_.synchronize(stream_.get()).IgnoreError();
    return status;
  }
  return absl::OkStatus();
}

Status CudaStage::run_pass(const Pass& pass, const StageStep& step) {
  PassSize size{pass.tokens, static_cast<int>(pass.slices.size()),
                options_.has_head ? static_cast<int>(pass.rows.size()) : 0,
                static_cast<int>(round_up(pass.positions, kAttentionSplit)), pass.pages};
  const OwnedGraph* const graph = find_graph(pass, size);
  Carver host(inputs_);
  fill_inputs(pass, step, size, PassInputs(host, size));
  const auto width = static_cast<size_t>(widths_.hidden);
  const auto each_slice = [&](const auto& use) {
    float* row = hidden_;
    for (const PassSlice& slice : pass.slices) {
      use(row, static_cast<size_t>(slice.first_token) * width,
          static_cast<size_t>(slice.token_count) * width);
      row += static_cast<size_t>(slice.token_count) * width;
    }
  };
  if (!options_.has_embedding) {
    each_slice([&](float* row, size_t at, size_t floats) {
      std::memcpy(row, step.hidden_in + at, floats * sizeof(float));
    });
  }
  if (graph) {
    MKM_RETURN_IF_ERROR(gpu_.launch_graph(stream_.get(), graph->get()));
  } else {
    Launches go(gpu_, stream_.get());
    put_pass(go, view_of(size, pass.decode, pass.one_token_each));
    MKM_RETURN_IF_ERROR(go.status());
  }
  MKM_RETURN_IF_ERROR(gpu_.synchronize(stream_.get()));
  if (options_.has_head) return bring_logits(pass, size, step);
  each_slice([&](const float* row, size_t at, size_t floats) {
    std::memcpy(step.hidden_out + at, row, floats * sizeof(float));
  });
  return absl::OkStatus();
}

// The first rows have come with the pass; what is more comes here.
Status CudaStage::bring_logits(const Pass& pass, const PassSize& size, const StageStep& step) {
  const auto vocab = static_cast<size_t>(widths_.vocab);
  const auto give = [&](int row, int from) {
    std::memcpy(step.logits_out + static_cast<size_t>(row) * vocab,
                logits_ + static_cast<size_t>(from) * vocab, vocab * sizeof(float));
  };
  if (rows_are_tokens(pass, size)) {
    for (const PassRow& row : pass.rows) give(row.row, row.token);
    return absl::OkStatus();
  }
  for (int first = 0; first < size.rows; first += kMaxDecodeTokens) {
    const int count = std::min(kMaxDecodeTokens, size.rows - first);
    if (first > 0) {
      Launches go(gpu_, stream_.get());
      put_logits(go, view_of(size, pass.decode, pass.one_token_each), first, count);
      MKM_RETURN_IF_ERROR(go.status());
      MKM_RETURN_IF_ERROR(gpu_.synchronize(stream_.get()));
    }
    for (int r = 0; r < count; ++r) give(pass.rows[static_cast<size_t>(first + r)].row, r);
  }
  return absl::OkStatus();
}

/// The smallest recorded step that the pass fits, whose size `size` becomes; null when none does.
const OwnedGraph* CudaStage::find_graph(const Pass& pass, PassSize& size) const {
  if (!pass.one_token_each) return nullptr;
  const auto fits = std::find_if(graphs_.begin(), graphs_.end(), [&](const Recorded& recorded) {
    return recorded.size.tokens >= pass.tokens && recorded.size.positions >= pass.positions;
  });
  if (fits == graphs_.end()) return nullptr;
  size = fits->size;
  return &fits->graph;
}

CudaStage::View CudaStage::view_of(const PassSize& size, bool decode, bool one_token_each) const {
  Carver device(device_inputs_);
  const PassInputs inputs(device, size);
  View view;
  view.step.positions = inputs.positions;
  view.step.sequences = inputs.sequences;
  view.step.first_tokens = inputs.first_tokens;
  view.step.page_table = inputs.page_table;
  view.step.state_slots = inputs.state_slots;
  view.step.page_stride = size.pages;
  view.step.tokens = size.tokens;
  view.step.sequence_count = size.sequences;
  view.ids = inputs.ids;
  view.rows = inputs.rows;
  view.size = size;
  view.decode = decode;
  view.one_token_each = one_token_each;
  return view;
}

void CudaStage::put_pass(Launches& go, const View& view) {
  const int tokens = view.size.tokens;
  const uint64_t hidden_bytes =
      static_cast<uint64_t>(tokens) * static_cast<uint64_t>(widths_.hidden) * sizeof(float);
  go.copy_to_device(device_inputs_, inputs_, input_bytes(view.size));
  if (options_.has_embedding) {
    EmbedArgs args;
    args.table = weights_.embedding;
    args.ids = view.ids;
    args.out = space_.hidden;
    args.tokens = tokens;
    go("embed", go.kernels().embed, args);
  } else {
    go.copy_to_device(space_.hidden, hidden_, hidden_bytes);
  }
  for (const LayerWeights& layer : weights_.layers) put_layer(go, view, layer);
  if (options_.has_head) {
    put_logits(go, view, 0, std::min(view.size.rows, kMaxDecodeTokens));
  } else {
    go.copy_to_host(hidden_, space_.hidden, hidden_bytes);
  }
}

void CudaStage::put_logits(Launches& go, const View& view, int first_row, int rows) {
  if (rows == 0) return;
  RmsNormArgs norm;
  norm.x = space_.hidden;
  norm.weight = weights_.final_norm.weight;
  norm.epsilon = weights_.final_norm.epsilon;
  norm.out = space_.normed;
  norm.rows = view.rows + first_row;
  norm.tokens = rows;
  norm.width = widths_.hidden;
  go("rms_norm", go.kernels().rms_norm, norm);
  put_matvecs(go, {{&weights_.head, space_.logits}}, space_.normed, nullptr, rows, false);
  go.copy_to_host(
      logits_, space_.logits,
      static_cast<uint64_t>(rows) * static_cast<uint64_t>(widths_.vocab) * sizeof(float));
}

}  // namespace mokume::cuda
