// Tiny checkpoints through stages on simulated GPUs, against what transformers and llama.cpp
// answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "stages.h"

namespace mokume {
namespace {

/// A file's name as a test's.
std::string plain(std::string name) {
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

struct Checkpoint {
  const char* name;
  /// What the fast path may cost: the rms error of the logits, as for CPU stages.
  double fast_rms;
  double exact_error = 2e-3;
};

void PrintTo(const Checkpoint& checkpoint, std::ostream* out) { *out << checkpoint.name; }

class CudaReference : public testing::TestWithParam<Checkpoint> {
 protected:
  const std::shared_ptr<const Model> model = load_test_model(GetParam().name);
  const Expected expected{GetParam().name};
  const int layers = static_cast<int>(model->spec.layers.size());
};

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, CudaReference,
    testing::Values(
        Checkpoint{"gguf/tiny-llama.gguf", .0027}, Checkpoint{"gguf/tiny-qwen2.gguf", .0027},
        Checkpoint{"gguf/tiny-qwen3.gguf", .0027}, Checkpoint{"hf/tiny-llama", .0027},
        Checkpoint{"hf/tiny-qwen2", .0027}, Checkpoint{"hf/tiny-qwen3", .0027},
        Checkpoint{"gguf/tiny-qwen3_5.gguf", .0027, 1e-2},
        Checkpoint{"hf/tiny-qwen3_5", .0027, 1e-2}, Checkpoint{"hf/tiny-qwen3-int8", .06},
        Checkpoint{"hf/tiny-qwen3_5-int8", .61, 1e-2}, Checkpoint{"hf/tiny-qwen3-nvfp4", .06},
        Checkpoint{"hf/tiny-qwen3_5-nvfp4", .61, 1e-2}, Checkpoint{"hf/tiny-qwen3-modelopt", .06},
        Checkpoint{"hf/tiny-qwen3_5-modelopt", .61, 1e-2},
        Checkpoint{"gguf/wide-llama-F16.gguf", .0027},
        Checkpoint{"gguf/wide-llama-BF16.gguf", .0133},
        Checkpoint{"gguf/wide-llama-Q8_0.gguf", .0454},
        Checkpoint{"gguf/wide-llama-Q4_0.gguf", .0477},
        Checkpoint{"gguf/wide-llama-Q4_1.gguf", .0456},
        Checkpoint{"gguf/wide-llama-Q5_0.gguf", .0465},
        Checkpoint{"gguf/wide-llama-Q5_1.gguf", .0468},
        Checkpoint{"gguf/wide-llama-Q4_K_M.gguf", .0607},
        Checkpoint{"gguf/wide-llama-Q5_K_M.gguf", .0646},
        Checkpoint{"gguf/wide-llama-Q6_K.gguf", .0643},
        Checkpoint{"gguf/wide-llama-IQ4_NL.gguf", .0461},
        Checkpoint{"gguf/wide-llama-MXFP4.gguf", .0442},
        Checkpoint{"gguf/wide-llama-NVFP4.gguf", .0471}),
    [](const auto& test) { return plain(test.param.name); });

// Of hybrids, whose states carry an error on, the whole prompt.
TEST_P(CudaReference, ExactLogitsAlone) {
  Stages stages(model, {{On::kCuda, layers}});
  std::vector<int32_t> prompt = expected.prompt;
  if (model->spec.architecture.find("qwen3_5") == std::string::npos) prompt.resize(40);
  const Errors found = errors(stages.run({prompt}, 64)[0], expected);
  EXPECT_LT(found.largest, GetParam().exact_error);
}

// Of two layers, the GPU has the last.
TEST_P(CudaReference, ExactLogitsAsTheMiddleStage) {
  const int last = layers > 2 ? layers - 1 : layers;
  std::vector<Part> parts{{On::kCpu, 1}, {On::kCuda, last}};
  if (last < layers) parts.push_back({On::kCpu, layers});
  Stages stages(model, parts);
  const std::vector<int32_t> beginning(expected.prompt.begin(), expected.prompt.begin() + 24);
  const Errors found = errors(stages.run({beginning}, 16)[0], expected);
  EXPECT_LT(found.largest, GetParam().exact_error);
}

TEST_P(CudaReference, FastLogitsAreClose) {
  Stages stages(model, {{On::kCuda, layers}}, {.exact = false});
  const Errors found = errors(stages.run({expected.prompt}, 64)[0], expected);
  EXPECT_LE(found.rms, GetParam().fast_rms);
}

// What rounding prompts' inputs to the weights' own type costs, where the checkpoint is of such.
class NarrowInputs : public testing::TestWithParam<Checkpoint> {};
INSTANTIATE_TEST_SUITE_P(Checkpoints, NarrowInputs,
                         testing::Values(Checkpoint{"hf/tiny-qwen3-int8", .09},
                                         Checkpoint{"hf/tiny-qwen3_5-int8", .85},
                                         Checkpoint{"hf/tiny-qwen3-nvfp4", .9},
                                         Checkpoint{"hf/tiny-qwen3_5-nvfp4", 1.9},
                                         Checkpoint{"gguf/wide-llama-NVFP4.gguf", .85}),
                         [](const auto& test) { return plain(test.param.name); });

TEST_P(NarrowInputs, AreCloseAndUseThatType) {
  const auto model = load_test_model(GetParam().name);
  const Expected expected(GetParam().name);
  const int layers = static_cast<int>(model->spec.layers.size());
  Stages wide(model, {{On::kCuda, layers}}, {.exact = false});
  const bool nvfp4 = std::string(GetParam().name).find("int8") == std::string::npos;
  Stages narrow(model, {{On::kCuda, layers}},
                {.exact = false, .activations = nvfp4 ? Activations::kNvfp4 : Activations::kInt8});
  const double wide_rms = errors(wide.run({expected.prompt}, 64)[0], expected).rms;
  const double narrow_rms = errors(narrow.run({expected.prompt}, 64)[0], expected).rms;
  EXPECT_LE(narrow_rms, GetParam().fast_rms);
  EXPECT_GT(narrow_rms, 2 * wide_rms);  // it was rounded
}

std::vector<std::vector<int32_t>> eight_sequences(const std::vector<int32_t>& first, int vocab) {
  std::vector<std::vector<int32_t>> sequences = {first};
  for (int s = 1; s < kSlots; ++s) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 2 + s; ++i) ids.push_back((i * 37 + s * 101) % vocab);
    sequences.push_back(ids);
  }
  return sequences;
}

class CudaStages : public testing::TestWithParam<const char*> {
 protected:
  const std::shared_ptr<const Model> model = load_test_model(GetParam());
  const int layers = static_cast<int>(model->spec.layers.size());
  const std::vector<int32_t> prompt = [this] {
    std::vector<int32_t> ids = Expected(GetParam()).prompt;
    ids.resize(std::min<size_t>(ids.size(), 21));
    return ids;
  }();
};

INSTANTIATE_TEST_SUITE_P(Checkpoints, CudaStages,
                         testing::Values("gguf/tiny-qwen3_5.gguf", "gguf/wide-llama-Q4_0.gguf"),
                         [](const auto& test) { return plain(test.param); });

// One answer, to the bit: however a prompt is cut, whatever stages there are and whatever runs
// beside it.
TEST_P(CudaStages, ExactAnswersHaveTheSameBitsHoweverTheyRun) {
  Stages plain(model, {{On::kCuda, layers}});
  const Logits want = plain.run({prompt}, 64)[0];
  EXPECT_EQ(plain.run({prompt}, 7)[0], want);
  Stages two(model, {{On::kCuda, layers / 2}, {On::kCuda, layers}});
  EXPECT_EQ(two.run({prompt}, 1)[0], want);
  EXPECT_EQ(two.run(eight_sequences(prompt, model->spec.vocab_size), 7)[0], want);
}

// What is generated token by token does not depend on what is beside it, and is as right as a
// prompt.
TEST_P(CudaStages, FastTokensHaveTheSameBitsBesideOthers) {
  Stages stages(model, {{On::kCuda, layers}}, {.exact = false});
  const Logits want = stages.run({prompt}, 1)[0];
  EXPECT_EQ(stages.run(eight_sequences(prompt, model->spec.vocab_size), 1)[0], want);
  const Expected expected(GetParam());
  double sum = 0;
  for (size_t t = 0; t < want.size(); ++t) {
    for (size_t i = 0; i < want[t].size(); ++i) {
      sum += std::pow(want[t][i] - expected.logits[t * want[t].size() + i], 2);
    }
  }
  const double rms = std::sqrt(sum / static_cast<double>(want.size() * want[0].size()));
  EXPECT_LE(rms, std::string(GetParam()).find("Q4_0") != std::string::npos ? .0477 : .0027);
}

// A prompt has the same bits however it is cut and whatever is beside it, though the library adds
// up in another order where it chooses for other sizes; its last token alone is a generated one's.
TEST_P(CudaStages, FastPromptsHaveTheSameBitsHoweverTheyAreCut) {
  const auto ledger = std::make_shared<cuda::SimulatedLedger>();
  StageSizes sizes{.exact = false, .gpu = {.ledger = ledger}};
  if (std::string(GetParam()).find("Q4_0") == std::string::npos) {
    sizes.weights = WeightFormat::kBF16;  // it is of F32, which the library does not multiply
  }
  Stages stages(model, {{On::kCuda, layers}}, sizes);
  const Logits want = stages.run({prompt}, 64)[0];
  EXPECT_GT(ledger->multiplied, 0);
  EXPECT_EQ(stages.run({prompt}, 7)[0], want);
  EXPECT_EQ(stages.run({prompt}, 3)[0], want);
  sizes.max_tokens = 200;
  Stages large(model, {{On::kCuda, layers}}, sizes);
  EXPECT_EQ(large.run(eight_sequences(prompt, model->spec.vocab_size), 7)[0], want);
}

// Where the library has no way, and where there is none.
TEST_P(CudaStages, FastPromptsAreAsRightWithoutTheLibrary) {
  const auto ledger = std::make_shared<cuda::SimulatedLedger>();
  Stages stages(model, {{On::kCuda, layers}},
                {.exact = false, .gpu = {.library = false, .ledger = ledger}});
  const Errors found = errors(stages.run({prompt}, 64)[0], Expected(GetParam()));
  EXPECT_EQ(ledger->multiplied, 0);
  EXPECT_LE(found.rms, std::string(GetParam()).find("Q4_0") != std::string::npos ? .0477 : .0027);
}

// Of generated tokens: rounding what NVFP4 is multiplied by costs what four bits cost in a model
// that is random and small.
TEST(CudaNvfp4, RoundsActivationsWhereItIsAskedTo) {
  const auto model = load_test_model("hf/tiny-qwen3-nvfp4");
  const int layers = static_cast<int>(model->spec.layers.size());
  const Expected expected("hf/tiny-qwen3-nvfp4");
  const std::vector<int32_t> prompt(expected.prompt.begin(), expected.prompt.begin() + 6);
  const auto error = [&](bool exact, bool nvfp4) {
    Stages stages(
        model, {{On::kCuda, layers}},
        {.exact = exact, .activations = nvfp4 ? Activations::kNvfp4 : Activations::kAuto});
    return errors(stages.run({prompt}, 1)[0], expected).rms;
  };
  const double found = error(false, true);
  EXPECT_GT(found, 0.1);
  EXPECT_LT(found, 0.8);  // of logits of 1.5
  EXPECT_LT(error(false, false), 0.06);
  EXPECT_LT(error(true, true), 2e-3);  // an exact stage rounds nothing
}

TEST(CudaNvfp4, IsForGpusThatHaveIt) {
  const auto model = load_test_model("gguf/tiny-llama.gguf");
  StageOptions stage = stage_options(model, 0, 4, {.activations = Activations::kNvfp4});
  const auto hopper = make_simulated_cuda_device({.major = 9});
  ASSERT_TRUE(hopper.ok());
  EXPECT_EQ(
      (*hopper)->make_stage(stage).status().message(),
      "[cuda] device gpu0, a simulated of capability 9.0, does not multiply NVFP4 by NVFP4; 10.0 "
      "and up do: leave out \"activations: nvfp4\"");
  // There, of prompts alone.
  const auto datacenter = make_simulated_cuda_device({.major = 10});
  EXPECT_TRUE((*datacenter)->make_stage(stage).ok());
  const auto cpu = make_cpu_device({"cpu0", 1, {}, ""});
  ASSERT_TRUE(cpu.ok());
  EXPECT_EQ((*cpu)->make_stage(stage).status().message(),
            "[cpu] activations are not rounded to nvfp4; that is for GPUs");
}

TEST(CudaConversion, GivesWhatItGivesOnCpus) {
  const auto model = load_test_model("gguf/tiny-qwen3_5.gguf");
  const int layers = static_cast<int>(model->spec.layers.size());
  const std::vector<int32_t> prompt{5, 6, 7, 8, 9, 10, 11};
  const Logits plain = Stages(model, {{On::kCpu, layers}}).run({prompt}, 64)[0];
  for (WeightFormat format : {WeightFormat::kInt8, WeightFormat::kBF16, WeightFormat::kNvfp4}) {
    Stages cuda(model, {{On::kCuda, layers}}, {.weights = format});
    Stages cpu(model, {{On::kCpu, layers}}, {.weights = format});
    const Logits found = cuda.run({prompt}, 64)[0], want = cpu.run({prompt}, 64)[0];
    ASSERT_EQ(found.size(), want.size());
    double most = 0, changed = 0;
    for (size_t t = 0; t < want.size(); ++t) {
      for (size_t i = 0; i < want[t].size(); ++i) {
        most = std::max(most, std::fabs(double{found[t][i]} - want[t][i]));
        changed = std::max(changed, std::fabs(double{plain[t][i]} - want[t][i]));
      }
    }
    EXPECT_LT(most, 1e-2) << weight_format_name(format);
    EXPECT_GT(changed, 2e-2) << weight_format_name(format);  // it was converted
  }
}

// Beside keys and values in F32, of the whole prompt and of generated tokens. Inputs of products
// are rounded to F16 in both, which tips over differently where keys and values differ.
TEST(CudaKv, IsKeptAsOptionsSay) {
  const auto model = load_test_model("gguf/wide-llama-F16.gguf");
  const int layers = static_cast<int>(model->spec.layers.size());
  std::vector<int32_t> prompt = Expected("gguf/wide-llama-F16.gguf").prompt;
  prompt.resize(14);
  const auto run = [&](KvType type, int chunk) {
    Stages stages(model, {{On::kCuda, layers}}, {.exact = false, .kv = type});
    return stages.run({prompt}, chunk)[0];
  };
  struct Case {
    KvType type;
    double least, most;  ///< rms error of the logits
  };
  for (const int chunk : {1, 64}) {
    const Logits want = run(KvType::kF32, chunk);
    for (const Case& c : {Case{KvType::kF16, 1e-4, .002}, Case{KvType::kBF16, .003, .0125},
                          Case{KvType::kInt8, .01, .035}, Case{KvType::kF8, .05, .15}}) {
      const Logits found = run(c.type, chunk);
      double sum = 0, count = 0;
      for (size_t t = 0; t < want.size(); ++t) {
        for (size_t i = 0; i < want[t].size(); ++i, ++count)
          sum += std::pow(found[t][i] - want[t][i], 2);
      }
      EXPECT_LE(std::sqrt(sum / count), c.most) << kv_type_name(c.type) << ", chunk " << chunk;
      EXPECT_GE(std::sqrt(sum / count), c.least) << kv_type_name(c.type) << ", chunk " << chunk;
    }
  }
}

TEST(CudaKv, Int16IsForCpus) {
  const auto device = make_simulated_cuda_device({});
  ASSERT_TRUE(device.ok());
  StageOptions stage = stage_options(load_test_model("gguf/tiny-llama.gguf"), 0, 4, {});
  stage.kv = KvType::kInt16;
  EXPECT_EQ((*device)->make_stage(stage).status().message(),
            "[cuda] keys and values are not kept as int16");
}

TEST(CudaStates, GoOnFromACopyInAnotherSlot) {
  const auto model = load_test_model("gguf/tiny-qwen3_5.gguf");
  const int layers = static_cast<int>(model->spec.layers.size());
  Stages stages(model, {{On::kCuda, layers}});
  ASSERT_TRUE(stages.whole());
  const auto step = [&](std::vector<int32_t> ids, int position, int slot, int page = 0) {
    const std::vector<int32_t> pages{page};
    const SequenceSlice slice{0, static_cast<int32_t>(ids.size()), position, pages, slot};
    const std::vector<int32_t> rows{static_cast<int32_t>(ids.size()) - 1};
    std::vector<float> logits(static_cast<size_t>(model->spec.vocab_size));
    EXPECT_TRUE(stages.step({ids, {&slice, 1}, rows}, logits).ok());
    return logits;
  };
  step({5, 6, 7, 8, 9}, 0, 0);
  std::vector<std::byte> saved(stages.stage(0).state_bytes());
  ASSERT_GT(saved.size(), 0u);
  ASSERT_TRUE(stages.stage(0).save_state(0, saved).ok());
  const auto want = step({11}, 5, 0);
  step({400, 3}, 0, 1, 1);
  ASSERT_TRUE(stages.stage(0).load_state(1, saved).ok());
  EXPECT_EQ(step({11}, 5, 1), want);
  EXPECT_FALSE(stages.stage(0).save_state(kSlots, saved).ok());
  saved.pop_back();
  EXPECT_FALSE(stages.stage(0).load_state(0, saved).ok());
}

TEST(CudaDevice, SaysHowMuchMemoryIsMissing) {
  cuda::SimulatedOptions options;
  options.memory_bytes = 1 << 20;
  const auto device = make_simulated_cuda_device(options);
  ASSERT_TRUE(device.ok());
  StageOptions stage = stage_options(load_test_model("gguf/tiny-llama.gguf"), 0, 4, {});
  stage.kv_pages = 2'000'000;
  const Status status = (*device)->make_stage(stage).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("device gpu0: layers 0-3 need"), std::string::npos) << status;
  EXPECT_NE(status.message().find("MiB are missing"), std::string::npos) << status;
}

TEST(CudaDevice, SaysWhatIsMissing) {
  const Status status = make_cuda_device({"gpu3", {200, ""}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message().find("[cuda] device gpu3: "), 0u) << status;
}

}  // namespace
}  // namespace mokume
