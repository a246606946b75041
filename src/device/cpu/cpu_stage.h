// A stage on the CPU: owns weights, KV pages and working memory, and steps them with the device's
// threads.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "device/cpu/layer_weights.h"
#include "device/cpu/products.h"
#include "device/cpu/program.h"
#include "device/cpu/workspace.h"
#include "device/device.h"
#include "kernels/cpu/kernels.h"

namespace mokume {

class DeviceWorker;

/// One stretch of attention: tokens [token_begin, token_end) of a sequence's slice, for one head of
/// the keys.
struct AttentionItem {
  int sequence = 0;
  int token_begin = 0;
  int token_end = 0;
  int parts = 0;      ///< of the context that its last token sees
  int first_row = 0;  ///< of the states of its parts: a row for each part and token

  int tokens() const { return token_end - token_begin; }
};

/// One part of the context of an item of a step.
struct AttentionPart {
  int item = 0;
  int part = 0;
};

class CpuStage : public Stage {
 public:
  /// Called on the worker's thread. `pool` and `worker` outlive the stage.
  static Result<std::unique_ptr<Stage>> create(const StageOptions& options,
                                               const kernels::CpuKernels& kernels,
                                               ProductEngines& engines, ThreadPool& pool,
                                               DeviceWorker& worker);
  ~CpuStage() override;

  void enqueue(const StageStep& step, std::function<void(Status)> done) override;
  uint64_t state_bytes() const override;
  Status save_state(int slot, std::span<std::byte> bytes) override;
  Status load_state(int slot, std::span<const std::byte> bytes) override;
  double busy_seconds() const override { return busy_seconds_.load(std::memory_order_relaxed); }
  uint64_t memory_bytes() const override { return memory_bytes_; }

 private:
  CpuStage(const StageOptions& options, const kernels::CpuKernels& kernels, ThreadPool& pool,
           DeviceWorker& worker);
  Status load(ProductEngines& engines);

  Status run_step(const StageStep& step);
  void prepare(const StageStep& step);
  void find_attention_parts(int rows);
  void find_last_attention_items();
  int tokens() const { return static_cast<int>(step_.token_ids.size()); }

  ThreadSpace& own(int thread) const { return space_.threads[static_cast<size_t>(thread)]; }

  // The ops of a step are made once, for steps of few and of many tokens. What varies between steps
  // they read from step_ and from what prepare() made of it. In steps of few tokens threads work in
  // memory of their own, so that most ops are repeatable; in steps of many they share all.
  void plan(Program& program) const;
  int count_tokens(int) const { return tokens(); }
  // The last layer's attention or delta rule gives keys, values and states for later steps; what
  // comes after it only goes into logits. Of many tokens, only those with logits have it.
  int count_finished_rows(int layer) const {
    return finishes_few(layer) ? count_logit_rows(layer) : tokens();
  }
  bool is_last(int layer) const { return layer + 1 == static_cast<int>(weights_.layers.size()); }
  bool finishes_few(int layer) const { return finishes_few_ && is_last(layer); }
  int count_rows_to_take(int layer) const {
    return finishes_few(layer) ? count_logit_rows(layer) : 0;
  }
  int token_of_row(int layer, int row) const {
    return finishes_few(layer) ? step_.logit_rows[row] : row;
  }
  int count_logit_rows(int) const { return static_cast<int>(step_.logit_rows.size()); }
  void fill_tokens(int, int thread, int begin, int end) const;
  int count_layers_to_reset(int) const;
  void reset_states(int, int thread, int begin, int end) const;
  void plan_mixer_output(Program& program, int layer, const PackedLinear& linear,
                         Products::FillRow fill_row) const;
  void take_finished_rows(int layer, int thread, int begin, int end) const;
  void plan_ffn(Program& program, int layer) const;
  void fill_normed_row(const NormWeights& norm, const float* rows, int row, float* out) const;
  void fill_mixer_row(int layer, int row, float* out, float* spare) const;
  void fill_ffn_row(int layer, int row, float* out, float* spare) const;
  void fill_activated_row(int layer, int row, float* out, float* spare) const;
  void fill_head_row(int layer, int row, float* out, float* spare) const;

  // The mixers: hidden += mixer(norm(hidden)).
  void plan_mixer(Program& program, int layer, const AttentionWeights& mixer) const;
  void project(int layer, int thread, int begin, int end) const;
  void store_projected(int layer, int thread, int begin, int end) const;
  void project_in_place(int layer, int thread, int begin, int end) const;
  const std::vector<AttentionItem>& attention_items(int layer) const {
    return finishes_few(layer) ? last_attention_items_ : attention_items_;
  }
  int count_attention_items(int layer) const;
  void copy_queries(int layer, int thread) const;
  void attend(int layer, int thread, int begin, int end) const;
  void store_attended(int layer, int thread, int begin, int end) const;
  void attend_in_place(int layer, int thread, int begin, int end) const;
  void store_outputs(int layer, int thread, int index) const;
  kernels::AttentionArgs attention_args(int layer, const AttentionItem& item, const float* q,
                                        float* out) const;
  bool splits(int layer) const;
  kernels::AttentionStates part_states(int layer, const AttentionItem& item, int kv_head) const;
  void attend_parts(int layer, int thread, int begin, int end) const;
  void store_parts(int layer, int thread, int begin, int end) const;
  int count_merged_items(int layer) const;
  void merge_parts(int layer, int thread, int begin, int end) const;
  void fill_attended_row(int layer, int row, float* out, float* spare) const;
  void plan_mixer(Program& program, int layer, const DeltaNetWeights& mixer) const;
  int count_conv_items(int layer) const;
  void convolve(int layer, int thread, int begin, int end) const;
  void prepare_heads(int layer, int thread, int begin, int end) const;
  int count_delta_items(int layer) const;
  void apply_delta_rule(int layer, int thread, int begin, int end) const;
  void fill_delta_row(int layer, int row, float* out, float* spare) const;
  const AttentionWeights& attention_weights(int layer) const;
  const DeltaNetWeights& delta_weights(int layer) const;

  // Products of the same input.
  class SharedInputOp;
  class ObserveOp;
  class ProductsOp;
  class RepeatableProductsOp;
  void multiply(Program& program, Products products) const;
  void fill_input(const Products& products, int begin, int end, const InputRows& input,
                  float* spare) const;
  void run_product(const Product& product, int thread, int panel_begin, int panel_end,
                   const InputRows& input, int rows, const kernels::MatmulOutput& out) const;
  void run_library(const PackedLinear& linear, int thread, int panel_begin, int panel_end,
                   const InputRows& input, int rows, const kernels::MatmulOutput& out) const;
  bool takes_int8(const PackedLinear& linear) const;

  /// In place; does nothing where the layer has no such norm.
  void normalize_heads(const NormWeights& norm, float* row, int heads, int head_dim) const;
  kernels::KvPages kv_pages(int layer, const Attention& spec) const;
  float* state(int layer, int slot) const;
  Status copy_states(int slot, size_t bytes,
                     const std::function<void(std::span<std::byte>, size_t)>& copy);

  const StageOptions options_;
  const kernels::CpuKernels& kernels_;
  ThreadPool& pool_;
  DeviceWorker& worker_;
  StageWidths widths_;
  StageWeights weights_;
  mutable Workspace space_;
  std::vector<Buffer> keys_, values_;  // one a layer; empty for a DeltaNet's
  std::vector<Buffer> states_;         // one a layer, [state_slots][floats of a sequence]
  std::vector<AttentionItem> attention_items_, last_attention_items_;  // those of the last layer
  std::vector<AttentionPart> attention_parts_;  // of steps of few tokens, item by item
  std::vector<bool> has_logits_;                // of each token, where finishes_few_
  std::vector<int> token_sequence_;             // which slice a token of the step belongs to
  StageStep step_;                              // the current one
  float* hidden_ = nullptr;                     // of the current step's tokens
  float* finished_ = nullptr;      // the same, or of its rows with logits, after the last mixer
  bool few_ = false;               // threads work in memory of their own
  bool finishes_few_ = false;      // the last layer's output is only made for rows with logits
  mutable bool observing_ = true;  // false: the observer wants no more of the step
  Program few_program_{true}, many_program_{false};
  uint64_t memory_bytes_ = 0;
  std::atomic<double> busy_seconds_{0};
  std::atomic<int> steps_in_flight_{0};
  mutable std::atomic<bool> library_failed_{false};  // in the current step
};

}  // namespace mokume
