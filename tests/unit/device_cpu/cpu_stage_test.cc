// Real tiny checkpoints through real stages.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <numeric>

#include "device/cpu/cpu_device.h"
#include "kernels/cpu/kernels.h"
#include "model/load_model.h"

namespace mokume {
namespace {

using Logits = std::vector<std::vector<float>>;  // a row a token

constexpr int kPageTokens = 16;
constexpr int kPages = 128;
constexpr int kMaxTokens = 160;
constexpr int kSlots = 8;

/// Of a checkpoint "tiny-llama.gguf", or of a directory "hf/tiny-llama".
std::string data_file(const std::string& name) {
  const bool directory = name.starts_with("hf/");
  return std::string(MOKUME_SOURCE_DIR "/tests/data/") + (directory ? "" : "gguf/") + name;
}

std::string checkpoint_file(const std::string& name) {
  return name.starts_with("hf/") ? name : name + ".gguf";
}

std::string expected_file(const std::string& name) {
  return name + (name.starts_with("hf/") ? "/" : ".") + "expected.safetensors";
}

std::shared_ptr<const Model> load(const std::string& name) {
  auto loaded = load_model(data_file(name));
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->model : nullptr;
}

/// What the reference implementation answers.
struct Expected {
  std::vector<int32_t> prompt;
  std::vector<float> logits;

  explicit Expected(const std::string& name) {
    std::ifstream file(data_file(name), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    const auto header = nlohmann::json::parse(bytes.substr(8, size));
    const auto range = [&](const char* tensor) {
      const auto& offsets = header[tensor]["data_offsets"];
      return std::string_view(bytes).substr(8 + size + offsets[0].get<size_t>(),
                                            offsets[1].get<size_t>() - offsets[0].get<size_t>());
    };
    const std::string_view ids = range("prompt"), values = range("logits");
    for (size_t i = 0; i < ids.size(); i += 8) {
      int64_t id;
      std::memcpy(&id, ids.data() + i, 8);
      prompt.push_back(static_cast<int32_t>(id));
    }
    logits.resize(values.size() / 4);
    std::memcpy(logits.data(), values.data(), values.size());
  }
};

constexpr int kMostTokensOfTheOtherWay = 8;  ///< in one step: longer ones take theirs

struct Layout {
  std::vector<int> cuts;  ///< first layer of every stage but the first
  int threads = 1;
  bool exact = false;
  std::string isa;
  ProductEngines::Use products = ProductEngines::Use::kFaster;
  std::optional<KvType> kv = {};
};

/// A pipeline of stages, each on a device of its own.
class Pipeline {
 public:
  Pipeline(std::shared_ptr<const Model> model, const Layout& layout) : model_(std::move(model)) {
    std::vector<int> bounds = layout.cuts;
    bounds.insert(bounds.begin(), 0);
    bounds.push_back(static_cast<int>(model_->spec.layers.size()));
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
      auto device = make_cpu_device(
          {"cpu" + std::to_string(i), layout.threads, {}, layout.isa, layout.products});
      EXPECT_TRUE(device.ok()) << device.status();
      devices_.push_back(std::move(*device));
      StageOptions options{model_, bounds[i], bounds[i + 1]};
      options.has_embedding = i == 0;
      options.has_head = i + 2 == bounds.size();
      options.exact = layout.exact;
      options.kv = layout.kv;
      options.kv_pages = kPages;
      options.page_tokens = kPageTokens;
      options.state_slots = kSlots;
      options.max_tokens = options.max_logit_rows = kMaxTokens;
      auto stage = devices_.back()->make_stage(options);
      EXPECT_TRUE(stage.ok()) << stage.status();
      stages_.push_back(std::move(*stage));
    }
  }

  Status try_step(StageStep step, std::vector<float>& logits) {
    const size_t hidden = step.token_ids.size() * static_cast<size_t>(model_->spec.hidden_size);
    std::vector<float> in(hidden), out(hidden);
    step.logits_out = logits.data();
    for (auto& stage : stages_) {
      step.hidden_in = in.data();
      step.hidden_out = out.data();
      std::promise<Status> done;
      stage->enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
      const Status status = done.get_future().get();
      if (!status.ok()) return status;
      std::swap(in, out);
    }
    return absl::OkStatus();
  }

  /// Several sequences side by side, each cut into chunks; sequence s has its own scattered pages.
  std::vector<Logits> run(const std::vector<std::vector<int32_t>>& sequences, int chunk) {
    std::vector<Logits> results(sequences.size());
    std::vector<std::vector<int32_t>> pages(sequences.size());
    for (int page = kPages - 1, s = 0; page >= 0; --page, ++s)
      pages[static_cast<size_t>(s) % pages.size()].push_back(page);
    while (step_sequences(sequences, pages, chunk, results)) {
    }
    return results;
  }

 private:
  bool step_sequences(const std::vector<std::vector<int32_t>>& sequences,
                      const std::vector<std::vector<int32_t>>& pages, int chunk,
                      std::vector<Logits>& results) {
    std::vector<int32_t> ids, owners;
    std::vector<SequenceSlice> slices;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const size_t done = results[s].size();
      const size_t count = std::min(sequences[s].size() - done, static_cast<size_t>(chunk));
      if (count == 0) continue;
      slices.push_back({static_cast<int32_t>(ids.size()), static_cast<int32_t>(count),
                        static_cast<int32_t>(done), pages[s], static_cast<int32_t>(s)});
      ids.insert(ids.end(), sequences[s].begin() + static_cast<ptrdiff_t>(done),
                 sequences[s].begin() + static_cast<ptrdiff_t>(done + count));
      owners.insert(owners.end(), count, static_cast<int32_t>(s));
    }
    if (ids.empty()) return false;
    std::vector<int32_t> rows(ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    const size_t vocab = static_cast<size_t>(model_->spec.vocab_size);
    std::vector<float> logits(ids.size() * vocab);
    const Status status = try_step({ids, slices, rows}, logits);
    EXPECT_TRUE(status.ok()) << status;
    for (size_t t = 0; t < ids.size(); ++t) {
      results[static_cast<size_t>(owners[t])].emplace_back(
          logits.begin() + static_cast<ptrdiff_t>(t * vocab),
          logits.begin() + static_cast<ptrdiff_t>((t + 1) * vocab));
    }
    return status.ok();
  }

  std::shared_ptr<const Model> model_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

/// Names of the instruction sets of this machine.
std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (auto isa : kernels::kIsas) {
    if (const auto* found = kernels::cpu_kernels(isa)) names.push_back(found->name);
  }
  return names;
}

struct Errors {
  double largest = 0, rms = 0;
};

Errors errors(const Logits& actual, const Expected& expected) {
  Errors result;
  size_t i = 0;
  for (const auto& row : actual) {
    for (float value : row) {
      const double error = std::fabs(value - expected.logits[i++]);
      result.largest = std::max(result.largest, error);
      result.rms += error * error;
    }
  }
  EXPECT_EQ(i, expected.logits.size());
  result.rms = std::sqrt(result.rms / static_cast<double>(i));
  return result;
}

struct Checkpoint {
  const char* name;
  /// What rounding activations and KV may cost: the rms error of the logits. For the wide
  /// checkpoints, what llama.cpp's own fast path loses on the same file.
  double fast_rms;
  double exact_error = 1e-3;
};

void PrintTo(const Checkpoint& checkpoint, std::ostream* out) { *out << checkpoint.name; }

class Reference : public testing::TestWithParam<Checkpoint> {
 protected:
  const std::string name = GetParam().name;
};

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, Reference,
    testing::Values(
        Checkpoint{"tiny-llama", .0027}, Checkpoint{"tiny-qwen2", .0027},
        Checkpoint{"tiny-qwen3", .0027}, Checkpoint{"hf/tiny-llama", .0027},
        Checkpoint{"hf/tiny-qwen2", .0027}, Checkpoint{"hf/tiny-qwen3", .0027},
        Checkpoint{"tiny-qwen3_5", .0027, 5e-3}, Checkpoint{"hf/tiny-qwen3_5", .0027, 5e-3},
        Checkpoint{"hf/tiny-qwen3-int8", .06}, Checkpoint{"hf/tiny-qwen3_5-int8", .61, 5e-3},
        Checkpoint{"hf/tiny-qwen3-nvfp4", .06}, Checkpoint{"hf/tiny-qwen3_5-nvfp4", .61, 5e-3},
        Checkpoint{"hf/tiny-qwen3-modelopt", .06},
        Checkpoint{"hf/tiny-qwen3_5-modelopt", .61, 5e-3}, Checkpoint{"wide-llama-F16", .0027},
        Checkpoint{"wide-llama-BF16", .0133}, Checkpoint{"wide-llama-Q8_0", .0454},
        Checkpoint{"wide-llama-Q4_0", .0477}, Checkpoint{"wide-llama-Q4_1", .0456},
        Checkpoint{"wide-llama-Q5_0", .0465}, Checkpoint{"wide-llama-Q5_1", .0468},
        Checkpoint{"wide-llama-Q4_K_M", .0607}, Checkpoint{"wide-llama-Q5_K_M", .0646},
        Checkpoint{"wide-llama-Q6_K", .0643}, Checkpoint{"wide-llama-IQ4_NL", .0461},
        Checkpoint{"wide-llama-MXFP4", .0442}, Checkpoint{"wide-llama-NVFP4", .0471}),
    [](const auto& test) {
      std::string name = test.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      std::replace(name.begin(), name.end(), '/', '_');
      return name;
    });

TEST_P(Reference, ExactLogitsOnEveryInstructionSet) {
  const auto model = load(checkpoint_file(name));
  const Expected expected(expected_file(name));
  for (const std::string& isa : isas()) {
    Pipeline pipeline(model, {{}, 2, true, isa});
    const Errors found = errors(pipeline.run({expected.prompt}, 64)[0], expected);
    EXPECT_LT(found.largest, GetParam().exact_error) << isa;
  }
}

TEST_P(Reference, FastLogitsAreClose) {
  const auto model = load(checkpoint_file(name));
  const Expected expected(expected_file(name));
  for (const std::string& isa : isas()) {
    Pipeline pipeline(model, {{}, 2, false, isa});
    const Errors found = errors(pipeline.run({expected.prompt}, 64)[0], expected);
    EXPECT_LE(found.rms, GetParam().fast_rms) << isa;
  }
  Pipeline library(model, {{}, 2, false, "", ProductEngines::Use::kLibrary});
  EXPECT_LE(errors(library.run({expected.prompt}, 64)[0], expected).rms, GetParam().fast_rms);
}

std::vector<std::vector<int32_t>> eight_sequences(const std::vector<int32_t>& prompt, int vocab) {
  std::vector<std::vector<int32_t>> sequences = {prompt};
  for (int s = 1; s < 8; ++s) {
    std::vector<int32_t> ids;
    for (int i = 0; i < 5 + 7 * s; ++i) ids.push_back((i * 37 + s * 101) % vocab);
    sequences.push_back(ids);
  }
  return sequences;
}

// One answer, to the bit: whatever the stages, threads, chunks and the sequences beside it.
TEST_P(Reference, SameBitsHoweverItRuns) {
  const auto model = load(checkpoint_file(name));
  const Expected expected(expected_file(name));
  const int layers = static_cast<int>(model->spec.layers.size());
  std::vector<int> every_layer;
  for (int i = 1; i < layers; ++i) every_layer.push_back(i);
  using Use = ProductEngines::Use;
  for (const auto& [exact, use] :
       {std::pair{false, Use::kKernels}, {false, Use::kLibrary}, {true, Use::kFaster}}) {
    Pipeline plain(model, {{}, 1, exact, "", use});
    const Logits want = plain.run({expected.prompt}, 64)[0];
    for (const Layout& layout :
         {Layout{{}, 3, exact, "", use}, Layout{{layers / 2}, 1, exact, "", use},
          Layout{every_layer, 2, exact, "", use}}) {
      Pipeline other(model, layout);
      for (int chunk : {1, 7, 64}) {
        EXPECT_EQ(other.run({expected.prompt}, chunk)[0], want)
            << layout.cuts.size() << " cuts, chunk " << chunk;
      }
      EXPECT_EQ(other.run(eight_sequences(expected.prompt, model->spec.vocab_size), 9)[0], want);
    }
  }
}

struct KvCase {
  KvType type;
  /// What keeping so costs: the rms error of the logits beside KV in F32.
  double rms;
};

class KvTypes : public testing::TestWithParam<KvCase> {
 protected:
  const std::shared_ptr<const Model> model = load("wide-llama-F16.gguf");
  /// Longer than two parts of attention.
  const std::vector<int32_t> prompt = [this] {
    std::vector<int32_t> ids;
    for (int i = 0; i < 600; ++i) ids.push_back((i * i * 31 + i * 7) % model->spec.vocab_size);
    return ids;
  }();

  Layout layout(int threads, std::vector<int> cuts, const std::string& isa) const {
    return {std::move(cuts), threads, false, isa, ProductEngines::Use::kKernels, GetParam().type};
  }
};

INSTANTIATE_TEST_SUITE_P(All, KvTypes,
                         testing::Values(KvCase{KvType::kF32, 1e-5}, KvCase{KvType::kF16, .0017},
                                         KvCase{KvType::kBF16, .0125},
                                         KvCase{KvType::kInt16, .0011},
                                         KvCase{KvType::kInt8, .042}),
                         [](const auto& test) {
                           return std::string(kv_type_name(test.param.type));
                         });

TEST_P(KvTypes, SameBitsHoweverTheyRun) {
  const int layers = static_cast<int>(model->spec.layers.size());
  for (const std::string& isa : isas()) {
    if (isa == "scalar") continue;  // minutes; its rows never meet others
    const Logits want = Pipeline(model, layout(1, {}, isa)).run({prompt}, 160)[0];
    Pipeline other(model, layout(2, {layers / 2}, isa));
    for (const int chunk : {1, 7, 160})
      EXPECT_TRUE(other.run({prompt}, chunk)[0] == want) << isa << ", chunk " << chunk;
    std::vector<int32_t> beside(prompt.begin() + 9, prompt.begin() + 25);
    EXPECT_TRUE(other.run({prompt, beside, {5, 6}}, 5)[0] == want) << isa;
  }
}

TEST_P(KvTypes, AreCloseToF32) {
  Layout exact = layout(2, {}, "");
  exact.kv = KvType::kF32;
  const Logits want = Pipeline(model, exact).run({prompt}, 160)[0];
  for (const std::string& isa : isas()) {
    if (isa == "scalar") continue;
    const Logits found = Pipeline(model, layout(2, {}, isa)).run({prompt}, 160)[0];
    double sum = 0, count = 0;
    for (size_t t = 0; t < want.size(); ++t) {
      for (size_t i = 0; i < want[t].size(); ++i, ++count)
        sum += std::pow(found[t][i] - want[t][i], 2);
    }
    EXPECT_LE(std::sqrt(sum / count), GetParam().rms) << isa;
  }
}

TEST(Kv, FP8IsForGpus) {
  auto device = make_cpu_device({"cpu0", 1, {}, ""});
  StageOptions options{load("tiny-llama.gguf"), 0, 1, true, false};
  options.kv = KvType::kF8;
  options.kv_pages = 1;
  options.max_tokens = 1;
  EXPECT_EQ((*device)->make_stage(options).status().message(),
            "[cpu] keys and values are not kept as fp8");
}

// Rows without logits are left out of the last layer; the others do not notice.
TEST_P(Reference, LogitsOfSomeRowsAreThoseOfAll) {
  const auto model = load(checkpoint_file(name));
  const std::vector<int32_t> prompt = Expected(expected_file(name)).prompt;
  const int tokens = static_cast<int>(prompt.size());
  ASSERT_GT(tokens, kMostTokensOfTheOtherWay);
  std::vector<int32_t> pages(kPages);
  std::iota(pages.begin(), pages.end(), 0);
  const SequenceSlice slice{0, tokens, 0, pages, 0};
  const auto vocab = static_cast<size_t>(model->spec.vocab_size);
  const int middle = static_cast<int>(model->spec.layers.size()) / 2;
  for (const bool exact : {false, true}) {
    Pipeline pipeline(model, {{middle}, 2, exact, ""});
    const Logits all = pipeline.run({prompt}, tokens)[0];
    for (const std::vector<int32_t>& rows :
         {std::vector{tokens - 1}, {tokens - 1, 3, 3, 0}, std::vector<int32_t>()}) {
      std::vector<float> logits(rows.size() * vocab);
      ASSERT_TRUE(pipeline.try_step({prompt, {&slice, 1}, rows}, logits).ok());
      for (size_t r = 0; r < rows.size(); ++r) {
        const auto from = logits.begin() + static_cast<ptrdiff_t>(r * vocab);
        const std::vector<float> row(from, from + static_cast<ptrdiff_t>(vocab));
        EXPECT_EQ(row, all[static_cast<size_t>(rows[r])]) << "row " << rows[r];
      }
    }
  }
}

/// A stage of all layers, stepped by hand.
class OneStage {
 public:
  explicit OneStage(std::shared_ptr<const Model> model, int slots = 2) : model_(std::move(model)) {
    auto device = make_cpu_device({"cpu0", 2, {}, ""});
    EXPECT_TRUE(device.ok()) << device.status();
    device_ = std::move(*device);
    StageOptions options{model_, 0, static_cast<int>(model_->spec.layers.size()), true, true};
    options.kv_pages = kPages;
    options.page_tokens = kPageTokens;
    options.state_slots = slots;
    options.max_tokens = options.max_logit_rows = kMaxTokens;
    auto made = device_->make_stage(options);
    EXPECT_TRUE(made.ok()) << made.status();
    stage = std::move(*made);
  }

  /// Logits of the last token; the sequence has all pages.
  std::vector<float> step(std::span<const int32_t> ids, int first_position, int slot) {
    std::vector<int32_t> pages(kPages);
    std::iota(pages.begin(), pages.end(), 0);
    const SequenceSlice slice{0, static_cast<int32_t>(ids.size()), first_position, pages, slot};
    const std::vector<int32_t> rows{static_cast<int32_t>(ids.size()) - 1};
    std::vector<float> logits(static_cast<size_t>(model_->spec.vocab_size));
    StageStep step{ids, {&slice, 1}, rows};
    step.logits_out = logits.data();
    std::promise<Status> done;
    stage->enqueue(step, [&](Status result) { done.set_value(std::move(result)); });
    status = done.get_future().get();
    return logits;
  }

  Status status;
  std::unique_ptr<Stage> stage;

 private:
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Device> device_;
};

TEST(RecurrentStates, GoOnFromACopyInAnotherSlot) {
  OneStage one(load("tiny-qwen3_5.gguf"));
  const std::vector<int32_t> prompt{5, 6, 7, 8, 9}, next{11}, other{400, 3};
  one.step(prompt, 0, 0);
  std::vector<std::byte> saved(one.stage->state_bytes());
  ASSERT_TRUE(one.stage->save_state(0, saved).ok());
  const std::vector<float> want = one.step(next, 5, 0);
  one.step(next, 6, 0);  // the copy does not see this
  ASSERT_TRUE(one.stage->load_state(1, saved).ok());
  EXPECT_EQ(one.step(next, 5, 1), want);
  ASSERT_TRUE(one.stage->load_state(1, std::vector<std::byte>(saved.size())).ok());
  EXPECT_NE(one.step(next, 5, 1), want);  // the states matter
}

TEST(RecurrentStates, StartAtZeroWhateverTheSlotHeld) {
  OneStage one(load("tiny-qwen3_5.gguf"));
  const std::vector<int32_t> prompt{5, 6, 7}, other{400, 3, 17, 4};
  const std::vector<float> want = one.step(prompt, 0, 0);
  one.step(other, 0, 0);
  EXPECT_EQ(one.step(prompt, 0, 0), want);
}

TEST(RecurrentStates, AreCheckedNotTrusted) {
  OneStage one(load("tiny-qwen3_5.gguf"));
  const std::vector<int32_t> ids{5};
  for (const int slot : {-1, 2}) {
    one.step(ids, 0, slot);
    EXPECT_EQ(one.status.code(), absl::StatusCode::kInvalidArgument) << slot;
  }
  std::vector<std::byte> bytes(one.stage->state_bytes());
  EXPECT_FALSE(one.stage->save_state(2, bytes).ok());
  bytes.pop_back();
  EXPECT_FALSE(one.stage->save_state(0, bytes).ok());
  EXPECT_FALSE(one.stage->load_state(0, bytes).ok());
  EXPECT_EQ(OneStage(load("tiny-llama.gguf")).stage->state_bytes(), 0u);
}

// What every linear layer may have and no checkpoint here has on these: biases of a layer's
// outputs. Without the feed-forward block's product, they go straight into the hidden state.
TEST(Biases, OfOutputsAreAdded) {
  const auto plain = load("tiny-llama.gguf");
  auto biased = std::make_shared<Model>(*plain);
  const auto zeros = std::vector<float>(64 * 160);
  std::vector<float> bias(64);
  std::iota(bias.begin(), bias.end(), 1.0f);
  TensorView view{"bias", reinterpret_cast<const std::byte*>(bias.data()), 256, DType::kF32, 1};
  view.shape[0] = 64;
  auto& layer = biased->spec.layers[0];
  auto& ffn = std::get<SwiGlu>(layer.ffn);
  ffn.down.weight.data = reinterpret_cast<const std::byte*>(zeros.data());
  auto both = std::make_shared<Model>(*biased);
  std::get<SwiGlu>(both->spec.layers[0].ffn).down.bias = view;
  std::get<Attention>(both->spec.layers[0].mixer).o.bias = view;
  const auto hidden = [](const std::shared_ptr<const Model>& model) {
    auto device = make_cpu_device({"cpu0", 2, {}, ""});
    StageOptions options{model, 0, 1, true, false};
    options.exact = true;
    options.kv_pages = 1;
    options.page_tokens = kPageTokens;
    options.max_tokens = options.max_logit_rows = 8;
    auto stage = (*device)->make_stage(options);
    EXPECT_TRUE(stage.ok()) << stage.status();
    const std::vector<int32_t> ids{3, 1, 4, 1, 5}, pages{0};
    const SequenceSlice slice{0, 5, 0, pages};
    std::vector<float> out(5 * 64);
    StageStep step{ids, {&slice, 1}, {}};
    step.hidden_out = out.data();
    std::promise<Status> done;
    (*stage)->enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
    EXPECT_TRUE(done.get_future().get().ok());
    return out;
  };
  const std::vector<float> without = hidden(biased), with = hidden(both);
  for (size_t i = 0; i < with.size(); ++i)
    EXPECT_NEAR(with[i] - without[i], 2 * bias[i % 64], 1e-3);
}

class BadStep : public testing::Test {
 protected:
  std::shared_ptr<const Model> model = load("tiny-llama.gguf");
  Pipeline pipeline{model, {}};
  std::vector<float> logits = std::vector<float>(1024);
  std::vector<int32_t> ids{1, 2}, pages{0}, rows{1};

  Status step(SequenceSlice slice) {
    slice.pages = pages;
    return pipeline.try_step({ids, {&slice, 1}, rows}, logits);
  }
};

TEST_F(BadStep, IsAnErrorAndTheStageGoesOn) {
  EXPECT_TRUE(step({0, 2, 0}).ok());
  EXPECT_FALSE(step({0, 1, 0}).ok());  // does not cover the tokens
  EXPECT_FALSE(step({1, 1, 0}).ok());
  EXPECT_FALSE(step({0, 2, -1}).ok());
  EXPECT_FALSE(step({0, 2, 15}).ok());  // past its one page
  pages = {kPages};
  EXPECT_FALSE(step({0, 2, 0}).ok());
  pages = {-1};
  EXPECT_FALSE(step({0, 2, 0}).ok());
  pages = {0};
  rows = {2};
  EXPECT_FALSE(step({0, 2, 0}).ok());
  rows = {1};
  ids = {1, model->spec.vocab_size};
  EXPECT_FALSE(step({0, 2, 0}).ok());
  ids = {-1, 1};
  EXPECT_FALSE(step({0, 2, 0}).ok());
  ids = {};
  EXPECT_FALSE(step({0, 0, 0}).ok());
  ids = {1, 2};
  EXPECT_TRUE(step({0, 2, 0}).ok());
}

TEST(CpuDevice, RefusesWhatCannotBe) {
  EXPECT_EQ(make_cpu_device({"cpu0", 1, {}, "neon9"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(make_cpu_device({"cpu0", 1, {100'000}, ""}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(make_cpu_device({"cpu0", -1, {}, ""}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(CpuDevice, SaysHowMuchMemoryIsMissing) {
  const auto device = make_cpu_device({"cpu0", 1, {}, ""});
  ASSERT_TRUE(device.ok());
  StageOptions options{load("tiny-llama.gguf"), 0, 4, true, true};
  options.kv_pages = 2'000'000'000;
  options.max_tokens = options.max_logit_rows = 16;
  const auto stage = (*device)->make_stage(options);
  EXPECT_EQ(stage.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(stage.status().message().find("MiB are missing"), std::string::npos) << stage.status();
}

TEST(CpuDevice, RefusesStagesThatAreNone) {
  const auto device = make_cpu_device({"cpu0", 1, {}, ""});
  ASSERT_TRUE(device.ok());
  StageOptions options{load("tiny-llama.gguf"), 3, 3, true, true};
  EXPECT_FALSE((*device)->make_stage(options).ok());
  options.last_layer = 5;
  EXPECT_FALSE((*device)->make_stage(options).ok());
  options = {options.model, 0, 4, true, true};
  options.page_tokens = 8;
  EXPECT_FALSE((*device)->make_stage(options).ok());
}

}  // namespace
}  // namespace mokume
