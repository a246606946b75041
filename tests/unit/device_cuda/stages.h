// Stages of tiny checkpoints on CPUs and simulated GPUs, stepped by hand.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "device/cuda/cuda_device.h"
#include "model/load_model.h"

namespace mokume {

using Logits = std::vector<std::vector<float>>;  // a row a token

inline constexpr int kPageTokens = 16;
inline constexpr int kPages = 24;
inline constexpr int kSlots = 8;

inline std::string data_file(const std::string& name) {
  return std::string(MOKUME_SOURCE_DIR "/tests/data/") + name;
}

inline std::shared_ptr<const Model> load_test_model(const std::string& name) {
  auto loaded = load_model(data_file(name));
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  return loaded.ok() ? loaded->model : nullptr;
}

/// What the reference implementation answers for "gguf/x.gguf" or "hf/x".
struct Expected {
  std::vector<int32_t> prompt;
  std::vector<float> logits;

  explicit Expected(std::string name) {
    if (name.ends_with(".gguf")) {
      name.replace(name.size() - 5, 5, ".expected.safetensors");
    } else {
      name += "/expected.safetensors";
    }
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

enum class On { kCpu, kCuda };

/// Layers up to `end`, on what.
struct Part {
  On on;
  int end;
};

struct StageSizes {
  bool exact = true;
  int max_tokens = 64;
  WeightFormat weights = WeightFormat::kKeep;
  std::optional<KvType> kv = {};
  Activations activations = Activations::kAuto;
  cuda::SimulatedOptions gpu = {};
};

inline StageOptions stage_options(std::shared_ptr<const Model> model, int first, int last,
                                  const StageSizes& sizes) {
  StageOptions options{model, first, last};
  options.has_embedding = first == 0;
  options.has_head = last == static_cast<int>(model->spec.layers.size());
  options.exact = sizes.exact;
  options.weights = sizes.weights;
  options.kv = sizes.kv;
  options.activations = sizes.activations;
  options.kv_pages = kPages;
  options.page_tokens = kPageTokens;
  options.state_slots = kSlots;
  options.max_tokens = options.max_logit_rows = sizes.max_tokens;
  return options;
}

inline Status step_stage(Stage& stage, const StageStep& step) {
  std::promise<Status> done;
  stage.enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

/// A pipeline of stages, each on a device of its own.
class Stages {
 public:
  Stages(std::shared_ptr<const Model> model, const std::vector<Part>& parts,
         const StageSizes& sizes = {})
      : model_(std::move(model)) {
    int first = 0;
    for (const Part& part : parts) {
      auto device = part.on == On::kCpu ? make_cpu_device({"cpu0", 1, {}, ""})
                                        : make_simulated_cuda_device(sizes.gpu);
      EXPECT_TRUE(device.ok()) << device.status();
      devices_.push_back(std::move(*device));
      auto stage = devices_.back()->make_stage(stage_options(model_, first, part.end, sizes));
      EXPECT_TRUE(stage.ok()) << stage.status();
      if (stage.ok()) stages_.push_back(std::move(*stage));
      first = part.end;
    }
    whole_ = stages_.size() == parts.size();
  }

  bool whole() const { return whole_; }
  Stage& stage(size_t index) { return *stages_[index]; }

  Status step(StageStep step, std::vector<float>& logits) {
    const size_t hidden = step.token_ids.size() * static_cast<size_t>(model_->spec.hidden_size);
    std::vector<float> in(hidden), out(hidden);
    step.logits_out = logits.data();
    for (auto& stage : stages_) {
      step.hidden_in = in.data();
      step.hidden_out = out.data();
      const Status status = step_stage(*stage, step);
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
    while (whole_ && step_all(sequences, pages, chunk, results)) {
    }
    return results;
  }

 private:
  bool step_all(const std::vector<std::vector<int32_t>>& sequences,
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
    const Status status = step({ids, slices, rows}, logits);
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
  bool whole_ = false;
};

struct Errors {
  double largest = 0, rms = 0;
};

/// Of the first rows that there are.
inline Errors errors(const Logits& actual, const Expected& expected) {
  Errors result;
  size_t i = 0;
  for (const auto& row : actual) {
    for (float value : row) {
      const double error = std::fabs(value - expected.logits[i++]);
      result.largest = std::max(result.largest, std::isnan(error) ? 1e30 : error);
      result.rms += error * error;
    }
  }
  EXPECT_TRUE(i > 0 && i <= expected.logits.size());
  result.rms = std::sqrt(result.rms / static_cast<double>(i));
  return result;
}

}  // namespace mokume
