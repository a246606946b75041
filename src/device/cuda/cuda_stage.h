// A stage on a CUDA device: owns weights, KV pages, recurrent states and working memory in one
// block of the device's memory, and steps them on a stream.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/cuda/blocks.h"
#include "device/cuda/launches.h"
#include "device/cuda/passes.h"
#include "device/cuda/prompt_products.h"
#include "device/cuda/weights.h"
#include "device/cuda/workspace.h"
#include "device/device.h"
#include "device/worker.h"

namespace mokume::cuda {

class CudaStage : public Stage {
 public:
  /// Loads nothing yet. `gpu` and `worker` outlive the stage; `device` is for messages.
  CudaStage(const StageOptions& options, Gpu& gpu, DeviceWorker& worker, std::string device);
  ~CudaStage() override;
  /// On the worker's thread: takes the memory, loads the weights, records decode steps.
  Status load();

  void enqueue(const StageStep& step, std::function<void(Status)> done) override;
  uint64_t state_bytes() const override;
  Status save_state(int slot, std::span<std::byte> bytes) override;
  Status load_state(int slot, std::span<const std::byte> bytes) override;
  double busy_seconds() const override { return busy_seconds_.load(std::memory_order_relaxed); }
  uint64_t memory_bytes() const override { return memory_bytes_; }

 private:
  /// What the kernels of a pass are told of it; pointers are the device's.
  struct View {
    StepView step;
    const int32_t* ids = nullptr;
    const int32_t* rows = nullptr;
    PassSize size;
    bool decode = false;
    bool one_token_each = false;
  };

  Status check_options() const;
  Status allocate();
  Status upload();
  Status record_graphs();
  Status record_graph(const PassSize& size);

  // One step (cuda_stage_step.cc).
  Status run_step(const StageStep& step);
  Status run_pass(const Pass& pass, const StageStep& step);
  Status bring_logits(const Pass& pass, const PassSize& size, const StageStep& step);
  const OwnedGraph* find_graph(const Pass& pass, PassSize& size) const;
  View view_of(const PassSize& size, bool decode, bool one_token_each) const;
  /// Everything from the inputs in pinned memory to the outputs there.
  void put_pass(Launches& go, const View& view);
  void put_logits(Launches& go, const View& view, int first_row, int rows);

  // The layers (cuda_stage_layers.cc).
  Inputs inputs() const {
    if (options_.exact) return Inputs::kF32;
    const bool nvfp4 =
        options_.activations == Activations::kNvfp4 && gpu_.info().multiplies_nvfp4();
    return nvfp4 ? Inputs::kNvfp4 : Inputs::k16Bits;
  }
  void put_layer(Launches& go, const View& view, const LayerWeights& layer);
  void put_mixer(Launches& go, const View& view, const LayerWeights& layer,
                 const AttentionWeights& mixer);
  void put_mixer(Launches& go, const View& view, const LayerWeights& layer,
                 const DeltaNetWeights& mixer);
  void put_ffn(Launches& go, const View& view, const LayerWeights& layer);
  /// outs = products of norm(x), or of x where there is no norm.
  void put_products(Launches& go, const View& view, std::initializer_list<MatrixProduct> products,
                    float* x, const NormWeights* norm, bool accumulate);
  PromptInput prompt_input(const View& view, float* x, const NormWeights* norm) const;
  void put_matvecs(Launches& go, std::initializer_list<MatrixProduct> products, const float* x,
                   const NormWeights* norm, int tokens, bool accumulate);

  /// Calls copy(what the device has, its bytes, where they are in a saved state), layer by layer.
  Status copy_states(int slot, size_t bytes,
                     const std::function<Status(std::byte*, size_t, size_t)>& copy);

  const StageOptions options_;
  Gpu& gpu_;
  DeviceWorker& worker_;
  const std::string device_;
  const Widths widths_;
  const PassSize most_;
  OwnedStream stream_;
  DeviceBlock arena_;
  PinnedBlock pinned_;
  StageWeights weights_;
  Workspace space_;
  PromptProducts prompts_;
  std::byte* device_inputs_ = nullptr;
  // Twins of device memory, in pinned_.
  std::byte* inputs_ = nullptr;
  float* hidden_ = nullptr;  // [tokens][hidden], in and out
  float* logits_ = nullptr;  // [kMaxDecodeTokens][vocab]
  struct Recorded {
    PassSize size;
    OwnedGraph graph;
  };
  std::vector<Recorded> graphs_;  // by tokens, then by positions
  PassPlan plan_;
  uint64_t memory_bytes_ = 0;
  std::atomic<double> busy_seconds_{0};
  std::atomic<int> steps_in_flight_{0};
};

}  // namespace mokume::cuda
