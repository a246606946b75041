// Whatever a GPU does wrong, and whenever: an error that names the device, nothing leaked, and a
// stage that goes on where the device does.
#include <gtest/gtest.h>

#include <functional>

#include "stages.h"

namespace mokume {
namespace {

using cuda::SimulatedFaults;
using cuda::SimulatedLedger;

// One layer of each kind, in the middle of the model.
constexpr int kFirst = 2, kLast = 4;

StageOptions tiny_stage(bool exact) {
  static const std::shared_ptr<const Model> floats = load_test_model("gguf/tiny-qwen3_5.gguf"),
                                            integers = load_test_model("hf/tiny-qwen3_5-int8");
  StageOptions options =
      stage_options(exact ? floats : integers, kFirst, kLast, {.exact = exact, .max_tokens = 4});
  if (!exact) options.activations = Activations::kInt8;
  options.kv_pages = 2;
  options.state_slots = 2;
  return options;
}

struct Outcome {
  std::vector<Status> statuses;
  std::vector<std::vector<float>> outputs;
};

constexpr size_t kSteps = 3;

/// A prompt, both sequences' tokens together, the first one alone; a failed step is the last, since
/// nobody goes on with what it had to bring.
Outcome run_steps(Stage& stage, int width) {
  const std::vector<int32_t> pages[2] = {{0}, {1}};
  const std::vector<SequenceSlice> steps[kSteps] = {
      {{0, 3, 0, pages[0], 0}},
      {{0, 1, 3, pages[0], 0}, {1, 1, 0, pages[1], 1}},
      {{0, 1, 4, pages[0], 0}}};
  Outcome outcome;
  for (const std::vector<SequenceSlice>& slices : steps) {
    const int tokens = slices.back().first_token + slices.back().token_count;
    const std::vector<int32_t> ids(static_cast<size_t>(tokens));
    std::vector<float> in(static_cast<size_t>(tokens * width)), out(in.size());
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 13) / 8 - 0.75f;
    StageStep step{ids, slices, {}};
    step.hidden_in = in.data();
    step.hidden_out = out.data();
    outcome.statuses.push_back(step_stage(stage, step));
    outcome.outputs.push_back(std::move(out));
    if (!outcome.statuses.back().ok()) break;
  }
  return outcome;
}

bool all_ok(const Outcome& outcome) {
  return outcome.statuses.size() == kSteps && outcome.statuses.back().ok();
}

void expect_named(const Status& status) {
  EXPECT_NE(status.message().find("device gpu9"), std::string::npos) << status;
}

class Faults : public testing::Test {
 protected:
  /// Not `exact`: of a stage that multiplies its prompts by the library, with all that this takes.
  explicit Faults(bool exact = true) : options(tiny_stage(exact)) {}

  cuda::SimulatedOptions simulated() const {
    cuda::SimulatedOptions gpu;
    gpu.device = "gpu9";
    gpu.ledger = std::make_shared<SimulatedLedger>();
    return gpu;
  }

  const StageOptions options;
  const int width = options.model->spec.hidden_size;
  int launches_at_load = 0;
  const Outcome want = [this] {
    const cuda::SimulatedOptions gpu = simulated();
    const auto device = make_simulated_cuda_device(gpu);
    auto stage = (*device)->make_stage(options);
    EXPECT_TRUE(stage.ok()) << stage.status();
    launches_at_load = gpu.ledger->launches;
    const Outcome outcome = stage.ok() ? run_steps(**stage, width) : Outcome{};
    EXPECT_EQ(gpu.ledger->multiplied > 0, !options.exact);
    return outcome;
  }();

  /// Runs everything with the n-th thing of a kind going wrong, for every n that there is.
  void at_every_n(int SimulatedFaults::*kind, const std::function<int(SimulatedLedger&)>& count,
                  bool loses, int first = 1) {
    ASSERT_TRUE(all_ok(want));
    for (int n = first;; ++n) {
      SCOPED_TRACE(n);
      cuda::SimulatedOptions gpu = simulated();
      gpu.faults.*kind = n;
      const auto& ledger = gpu.ledger;
      auto device = make_simulated_cuda_device(gpu);
      auto stage = (*device)->make_stage(options);
      if (!stage.ok()) {
        expect_named(stage.status());
        EXPECT_TRUE(ledger->holds_nothing());
        stage = (*device)->make_stage(options);  // what failed once does not fail again
        EXPECT_EQ(stage.ok(), !loses);
        if (!stage.ok()) continue;
      }
      const Outcome outcome = run_steps(**stage, width);
      if (all_ok(outcome) && count(*ledger) < n) break;  // there is no n-th
      for (const Status& status : outcome.statuses) {
        if (!status.ok()) expect_named(status);
      }
      go_on(**stage, loses && !all_ok(outcome));
      stage->reset();
      EXPECT_TRUE(ledger->holds_nothing());
    }
  }

  void go_on(Stage& stage, bool lost) {
    const Outcome again = run_steps(stage, width);
    EXPECT_EQ(all_ok(again), !lost);
    for (size_t i = 0; i < again.statuses.size(); ++i) {
      if (lost) {
        EXPECT_EQ(again.statuses[i].code(), absl::StatusCode::kUnavailable);
      } else {
        EXPECT_TRUE(again.statuses[i].ok()) << again.statuses[i];
        EXPECT_EQ(again.outputs[i], want.outputs[i]);
      }
    }
  }
};

TEST_F(Faults, OfEveryAllocation) {
  at_every_n(
      &SimulatedFaults::allocation, [](SimulatedLedger& l) { return l.allocations.load(); }, false);
}

TEST_F(Faults, OfEveryLaunch) {
  at_every_n(
      &SimulatedFaults::launch, [](SimulatedLedger& l) { return l.launches.load(); }, false);
}

TEST_F(Faults, OfEveryCopy) {
  at_every_n(
      &SimulatedFaults::copy, [](SimulatedLedger& l) { return l.copies.load(); }, false);
}

TEST_F(Faults, OfEveryKernelWhileItRuns) {
  at_every_n(
      &SimulatedFaults::asynchronous, [](SimulatedLedger& l) { return l.kernels.load(); }, true);
}

TEST_F(Faults, OfTheDeviceAtEveryWait) {
  at_every_n(
      &SimulatedFaults::lost, [](SimulatedLedger& l) { return l.synchronizations.load(); }, true);
}

class FaultsOfProducts : public Faults {
 protected:
  FaultsOfProducts() : Faults(false) {}
};

TEST_F(FaultsOfProducts, OfEveryLaunchOfAStep) {
  at_every_n(
      &SimulatedFaults::launch, [](SimulatedLedger& l) { return l.launches.load(); }, false,
      launches_at_load + 1);
}

TEST_F(FaultsOfProducts, OfEveryKernelWhileItRuns) {
  at_every_n(
      &SimulatedFaults::asynchronous, [](SimulatedLedger& l) { return l.kernels.load(); }, true);
}

TEST_F(FaultsOfProducts, OfTheDeviceAtEveryWait) {
  at_every_n(
      &SimulatedFaults::lost, [](SimulatedLedger& l) { return l.synchronizations.load(); }, true);
}

TEST_F(Faults, OfOneDeviceLeaveAnotherAlone) {
  cuda::SimulatedOptions bad;
  bad.device = "gpu9";
  bad.faults.asynchronous = 1;
  const auto lost = make_simulated_cuda_device(bad), good = make_simulated_cuda_device({});
  auto stage = (*lost)->make_stage(options);
  auto other = (*good)->make_stage(options);
  ASSERT_TRUE(stage.ok() && other.ok());
  EXPECT_FALSE(all_ok(run_steps(**stage, width)));
  go_on(**other, false);
}

}  // namespace
}  // namespace mokume
