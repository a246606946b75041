// A stage on the CPU: owns weights, KV pages and working memory, and steps them with the device's
// threads.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "device/cpu/layer_weights.h"
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
};

class CpuStage : public Stage {
 public:
  /// Called on the worker's thread. `pool` and `worker` outlive the stage.
  static Result<std::unique_ptr<Stage>> create(const StageOptions& options,
                                               const kernels::CpuKernels& kernels, ThreadPool& pool,
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
  Status load();

  // One step, in the order in which they run.
  Status run_step(const StageStep& step);
  void prepare(const StageStep& step);
  void reset_states(const StageStep& step);
  void run_layer(const StageStep& step, int layer, float* hidden);

  // The mixers: hidden += mixer(norm(hidden)).
  void run_mixer(const StageStep& step, int layer, const AttentionWeights& mixer, float* hidden);
  void project_attention(const StageStep& step, int layer, const AttentionWeights& mixer);
  void run_mixer(const StageStep& step, int layer, const DeltaNetWeights& mixer, float* hidden);
  void convolve(const StageStep& step, int layer, const DeltaNetWeights& mixer);
  void prepare_heads(int tokens, const DeltaNetWeights& mixer);
  void apply_delta_rule(const StageStep& step, int layer, const DeltaNetWeights& mixer);
  void run_ffn(int tokens, const SwiGluWeights& ffn, const NormWeights& norm, float* hidden);
  void run_head(const StageStep& step, const float* hidden);

  /// space_.normed = norm(x)
  void normalize(const NormWeights& norm, const float* x, int tokens);
  /// In place; does nothing where the layer has no such norm.
  void normalize_heads(const NormWeights& norm, float* row, int heads, int head_dim) const;
  /// rows [count, outputs of `linear`] += its bias, if it has one.
  void add_biases(const PackedLinear& linear, float* rows, int count);
  bool takes_int8(const PackedLinear& linear) const;
  struct Product {
    const PackedLinear* linear;
    kernels::MatmulOutput out;
    bool twice = false;  ///< with activations of twice the bits
  };
  void run_product(const Product& product, int panel_begin, int panel_end, const float* x,
                   int tokens) const;
  void observe(std::initializer_list<Product> products, const float* x, int tokens) const;
  /// Products of the same input [tokens, columns], as one piece of work for the threads.
  void multiply(std::initializer_list<Product> products, const float* x, int tokens);
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
  Workspace space_;
  std::vector<Buffer> keys_, values_;  // one a layer; empty for a DeltaNet's
  std::vector<Buffer> states_;         // one a layer, [state_slots][floats of a sequence]
  std::vector<AttentionItem> attention_items_;
  std::vector<int> token_sequence_;  // which slice a token of the step belongs to
  uint64_t memory_bytes_ = 0;
  std::atomic<double> busy_seconds_{0};
  std::atomic<int> steps_in_flight_{0};
};

}  // namespace mokume
