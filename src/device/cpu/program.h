// The ops of a CPU stage's steps.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "device/cpu/op.h"

namespace mokume {

class CpuStage;

/// Ops in the order in which they run, for steps of few or of many tokens.
class Program {
 public:
  explicit Program(bool for_few) : few(for_few) {}

  template <typename AnyOp>
  void add(AnyOp op) {
    owned_.push_back(std::make_unique<const AnyOp>(std::move(op)));
    ops_.push_back(owned_.back().get());
  }
  std::span<const Op* const> ops() const { return ops_; }

  const bool few;

 private:
  std::vector<std::unique_ptr<const Op>> owned_;
  std::vector<const Op*> ops_;
};

/// An op that is member functions of the stage, of one layer.
class StageOp final : public Op {
 public:
  using Count = int (CpuStage::*)(int layer) const;
  using Prepare = void (CpuStage::*)(int layer, int thread) const;
  using Work = void (CpuStage::*)(int layer, int thread, int begin, int end) const;

  StageOp(const CpuStage& stage, int layer, Count count, int grain, Work work)
      : stage_(stage), layer_(layer), grain_(grain), count_(count), compute_(work) {}
  /// A repeatable one.
  StageOp(const CpuStage& stage, int layer, Count count, Prepare before, Work work, Work after)
      : StageOp(stage, layer, count, 1, work) {
    prepare_ = before;
    commit_ = after;
  }

  int items() const override { return (stage_.*count_)(layer_); }
  int grain() const override { return grain_; }
  bool repeatable() const override { return commit_ != nullptr; }
  void prepare(int thread) const override {
    if (prepare_) (stage_.*prepare_)(layer_, thread);
  }
  void compute(int thread, int begin, int end) const override {
    (stage_.*compute_)(layer_, thread, begin, end);
  }
  void commit(int thread, int begin, int end) const override {
    if (commit_) (stage_.*commit_)(layer_, thread, begin, end);
  }

 private:
  const CpuStage& stage_;
  int layer_, grain_;
  Count count_;
  Work compute_;
  Prepare prepare_ = nullptr;
  Work commit_ = nullptr;
};

}  // namespace mokume
