// The ops of a CPU stage's step, from the embedding to the logits.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/cpu/cpu_stage.h"
#include "device/cpu/rows.h"

namespace mokume {
namespace {

// Angles as the model was trained with them: the product of position and frequency rounds to float.
void fill_cos_sin(const Rope& rope, int position, float* out) {
  const int half = rope.dims / 2;
  for (int i = 0; i < half; ++i) {
    const float angle = static_cast<float>(position) * rope.inverse_frequencies[i];
    out[i] = static_cast<float>(std::cos(double{angle})) * rope.magnitude;
    out[half + i] = static_cast<float>(std::sin(double{angle})) * rope.magnitude;
  }
}

}  // namespace

void CpuStage::plan(Program& program) const {
  program.add(StageOp(*this, 0, &CpuStage::count_tokens, kRowGrain, &CpuStage::fill_tokens));
  if (state_bytes() > 0) {
    program.add(StageOp(*this, 0, &CpuStage::count_layers_to_reset, 1, &CpuStage::reset_states));
  }
  for (int i = 0; i < static_cast<int>(weights_.layers.size()); ++i) {
    std::visit([&](const auto& mixer) { plan_mixer(program, i, mixer); },
               weights_.layers[static_cast<size_t>(i)].mixer);
    plan_ffn(program, i);
  }
  if (!options_.has_head) return;
  multiply(program, {0,
                     &CpuStage::count_logit_rows,
                     &CpuStage::fill_head_row,
                     {{{&weights_.head, &step_.logits_out}}},
                     1});
}

// Tokens' hidden states before the first layer, their cosines and sines.
void CpuStage::fill_tokens(int, int, int begin, int end) const {
  const auto width = static_cast<size_t>(widths_.hidden);
  for (int t = begin; t < end; ++t) {
    float* hidden = hidden_ + static_cast<size_t>(t) * width;
    if (weights_.head_is_embedding) {
      kernels::unpack_row(weights_.head.matrix, step_.token_ids[t], hidden);
    } else if (weights_.embedding) {
      dequantize_row(*weights_.embedding, step_.token_ids[t], {hidden, width});
    } else {
      std::memcpy(hidden, step_.hidden_in + static_cast<size_t>(t) * width, width * sizeof(float));
    }
    const SequenceSlice& slice = step_.sequences[token_sequence_[t]];
    float* row = space_.cos_sin + static_cast<size_t>(t) * widths_.rope;
    for (const Rope* rope : weights_.ropes) {
      fill_cos_sin(*rope, slice.first_position + t - slice.first_token, row);
      row += rope->dims;
    }
  }
}

int CpuStage::count_layers_to_reset(int) const {
  const auto starts = [](const SequenceSlice& slice) { return slice.first_position == 0; };
  const bool any = std::any_of(step_.sequences.begin(), step_.sequences.end(), starts);
  return any ? static_cast<int>(states_.size()) : 0;
}

// A sequence starts with states of zeros.
void CpuStage::reset_states(int, int, int begin, int end) const {
  for (int layer = begin; layer < end; ++layer) {
    const size_t bytes =
        states_[layer].bytes() / static_cast<size_t>(std::max(1, options_.state_slots));
    for (const SequenceSlice& slice : step_.sequences) {
      if (bytes > 0 && slice.first_position == 0)
        std::memset(state(layer, slice.state_slot), 0, bytes);
    }
  }
}

// hidden += linear(what the mixer made)
void CpuStage::plan_mixer_output(Program& program, int layer, const PackedLinear& linear,
                                 Products::FillRow fill_row) const {
  const bool last = is_last(layer);
  if (last) {
    program.add(StageOp(*this, layer, &CpuStage::count_rows_to_take, kRowGrain,
                        &CpuStage::take_finished_rows));
  }
  multiply(program, {layer,
                     &CpuStage::count_finished_rows,
                     fill_row,
                     {{{&linear, last ? &finished_ : &hidden_, true}}},
                     1});
}

void CpuStage::take_finished_rows(int, int, int begin, int end) const {
  const auto width = static_cast<size_t>(widths_.hidden);
  for (int r = begin; r < end; ++r) {
    std::memcpy(finished_ + r * width, hidden_ + step_.logit_rows[r] * width,
                width * sizeof(float));
  }
}

void CpuStage::plan_ffn(Program& program, int layer) const {
  const SwiGluWeights& ffn = weights_.layers[layer].ffn;
  const bool last = is_last(layer);
  multiply(program, {layer,
                     &CpuStage::count_finished_rows,
                     &CpuStage::fill_ffn_row,
                     {{{&ffn.gate, &space_.gate}, {&ffn.up, &space_.up}}},
                     2});
  multiply(program, {layer,
                     &CpuStage::count_finished_rows,
                     &CpuStage::fill_activated_row,
                     {{{&ffn.down, last ? &finished_ : &hidden_, true}}},
                     1});
}

void CpuStage::fill_normed_row(const NormWeights& norm, const float* rows, int row,
                               float* out) const {
  const int width = widths_.hidden;
  const float* x = read_row(few_, rows + static_cast<size_t>(row) * width, out, width);
  kernels_.rms_norm(x, norm.weight, norm.epsilon, width, out);
}

void CpuStage::fill_mixer_row(int layer, int row, float* out, float*) const {
  fill_normed_row(weights_.layers[layer].mixer_norm, hidden_, row, out);
}

void CpuStage::fill_ffn_row(int layer, int row, float* out, float*) const {
  const bool last = is_last(layer);
  fill_normed_row(weights_.layers[layer].ffn_norm, last ? finished_ : hidden_, row, out);
}

void CpuStage::fill_activated_row(int layer, int row, float* out, float* spare) const {
  const int width = weights_.layers[layer].ffn.hidden;
  const size_t at = static_cast<size_t>(row) * width;
  copy_row(few_, space_.gate + at, out, width);
  kernels_.silu_mul(out, read_row(few_, space_.up + at, spare, width), width);
}

void CpuStage::fill_head_row(int, int row, float* out, float*) const {
  fill_normed_row(weights_.final_norm, finished_, finishes_few_ ? row : step_.logit_rows[row], out);
}

}  // namespace mokume
