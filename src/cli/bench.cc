#include "cli/bench.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "cli/machine_probe.h"
#include "cli/progress.h"
#include "model/convert.h"
#include "model/layer_tensors.h"
#include "model/memory.h"
#include "runtime/runtime.h"

namespace mokume {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// What one round sees of all its sequences.
class Round {
 public:
  explicit Round(int sequences) : left_(sequences), waiting_(sequences) {}

  void on_token(bool first) {
    std::lock_guard lock(mutex_);
    if (first && --waiting_ == 0) {
      all_prefilled_ = Clock::now();
      return;
    }
    if (waiting_ == 0) ++decoded_after_prefill_;
  }
  void on_finish(const FinishEvent& event) {
    std::lock_guard lock(mutex_);
    if (!event.status.ok()) status_ = event.status;
    generated_ += event.generated_tokens;
    if (--left_ == 0) {
      end_ = Clock::now();
      done_.notify_all();
    }
  }
  void wait() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return left_ == 0; });
  }

  const Clock::time_point start = Clock::now();
  double prefill_seconds() const { return seconds(start, all_prefilled_); }
  double decode_seconds() const { return seconds(all_prefilled_, end_); }
  double total_seconds() const { return seconds(start, end_); }
  int64_t decoded() const { return decoded_after_prefill_; }
  int64_t generated() const { return generated_; }
  const Status& status() const { return status_; }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  int left_, waiting_;
  Clock::time_point all_prefilled_ = start, end_ = start;
  int64_t decoded_after_prefill_ = 0, generated_ = 0;
  Status status_;
};

class RoundSink : public TokenSink {
 public:
  explicit RoundSink(std::shared_ptr<Round> round) : round_(std::move(round)) {}
  Verdict on_token(const TokenEvent&) override {
    round_->on_token(std::exchange(first_, false));
    return Verdict::kContinue;
  }
  void on_finish(const FinishEvent& event) override { round_->on_finish(event); }

 private:
  const std::shared_ptr<Round> round_;
  bool first_ = true;
};

struct Rates {
  std::vector<double> prompt, decode, total;
  // With BenchOptions::memory; the last two are empty where the machine's peak is not known.
  std::vector<double> memory, memory_share, int8, int8_share;
};

/// What a token reads while the sequences decode together: the weights once for all of them, each
/// one's states and the KV of half of what it generates.
double read_bytes_per_token(const BenchOptions& options, const Runtime& runtime) {
  const ModelSpec& spec = runtime.spec();
  const int layers = static_cast<int>(spec.layers.size());
  uint64_t weights = 0, kv_page = 0;
  for (const StageSpec& stage : runtime.plan.stages) {
    weights += stage.weight_bytes;
    kv_page += stage.kv_page_bytes;
  }
  const bool head_is_embedding =
      spec.tied_head && runtime.plan.stages.size() == 1 &&
      head_format(spec.head, runtime.plan.stages[0].weights) == WeightFormat::kKeep;
  if (!head_is_embedding) weights -= spec.embedding.bytes;  // of which a token reads a row
  const double kv = static_cast<double>(kv_page) / runtime.plan.page_tokens;
  return static_cast<double>(weights) / options.sequences +
         static_cast<double>(stage_state_bytes(spec, 0, layers)) +
         kv * (options.prompt + options.generate / 2.0);
}

double elements(const Linear& linear) {
  return static_cast<double>(linear.weight.rows()) * static_cast<double>(linear.weight.columns());
}

/// Multiplications and additions in linear layers that a token of a prompt takes; the head only
/// multiplies a prompt's last one.
double operations_per_prompt_token(const BenchOptions& options, const ModelSpec& spec) {
  double products = elements(spec.head) / options.prompt;
  for (const LayerSpec& layer : spec.layers) {
    for (const Linear* linear : layer_linears(layer)) products += elements(*linear);
  }
  return 2 * products;
}

/// Threads of all CPU devices: as many as there are to measure the machine with.
int threads_of(const Config& config) {
  int threads = 0;
  for (const DeviceConfig& device : config.devices) threads += device.threads;
  return threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
}

Status run_round(Engine& engine, const BenchOptions& options, int vocab, Rates* rates) {
  static RequestId next_id = 1;
  const auto round = std::make_shared<Round>(options.sequences);
  for (int s = 0; s < options.sequences; ++s) {
    Request request;
    request.id = next_id++;
    request.sampling.temperature = 0;
    request.max_tokens = options.generate;
    for (int i = 0; i < options.prompt; ++i)
      request.prompt.push_back((i * 7919 + s * 104729 + 11) % vocab);
    MKM_RETURN_IF_ERROR(engine.submit(std::move(request), std::make_shared<RoundSink>(round)));
  }
  round->wait();
  MKM_RETURN_IF_ERROR(round->status());
  if (!rates) return absl::OkStatus();
  const double prompts = static_cast<double>(options.prompt) * options.sequences;
  rates->prompt.push_back(prompts / round->prefill_seconds());
  rates->decode.push_back(static_cast<double>(round->decoded()) / round->decode_seconds());
  rates->total.push_back(static_cast<double>(round->generated()) / round->total_seconds());
  return absl::OkStatus();
}

nlohmann::json summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {{"min", values.front()}, {"median", values[values.size() / 2]}, {"max", values.back()}};
}

// VmHWM and VmRSS of this process, in bytes.
uint64_t process_memory(const std::string& key) {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t kib = 0;
  while (status >> word) {
    if (word == key + ":" && status >> kib) return kib * 1024;
  }
  return 0;
}

/// Rounds with the machine's limits around each, so that both are of the same seconds.
class LimitRounds {
 public:
  LimitRounds(const BenchOptions& options, const Runtime& runtime)
      : bytes_per_token_(read_bytes_per_token(options, runtime)),
        operations_per_token_(operations_per_prompt_token(options, runtime.spec())),
        probe_(threads_of(options.config)) {}

  void before() { before_ = measured(); }
  void after(Rates& rates) {
    const Limits now = measured();
    rates.memory.push_back((before_.memory + now.memory) / 2);
    rates.memory_share.push_back(bytes_per_token_ * rates.decode.back() / rates.memory.back());
    if (now.int8 == 0) return;
    rates.int8.push_back((before_.int8 + now.int8) / 2);
    rates.int8_share.push_back(operations_per_token_ * rates.prompt.back() / rates.int8.back());
  }

 private:
  struct Limits {
    double memory = 0, int8 = 0;
  };
  Limits measured() {
    return {probe_.read_bytes_per_second(0.3), probe_.int8_operations_per_second(0.2)};
  }

  const double bytes_per_token_, operations_per_token_;
  MachineProbe probe_;
  Limits before_;
};

/// Without what the measuring itself takes.
struct Resident {
  uint64_t now = 0, peak = 0;
};

/// `loaded_peak` is from before the probe was made.
Resident resident_without_probe(const BenchOptions& options, uint64_t loaded_peak) {
  const uint64_t probe = options.memory ? MachineProbe::kBufferBytes : 0;
  return {process_memory("VmRSS") - probe, std::max(loaded_peak, process_memory("VmHWM") - probe)};
}

nlohmann::json report(const BenchOptions& options, const Runtime& runtime, const Rates& rates,
                      const Resident& resident) {
  nlohmann::json devices = nlohmann::json::array();
  for (const auto& device : runtime.devices) {
    devices.push_back({{"name", device->info().name}, {"description", device->info().description}});
  }
  nlohmann::json json = {{"prompt_tokens_per_second", summary(rates.prompt)},
                         {"decode_tokens_per_second", summary(rates.decode)},
                         {"total_tokens_per_second", summary(rates.total)},
                         {"resident_bytes", resident.now},
                         {"peak_resident_bytes", resident.peak},
                         {"model", options.config.model.path},
                         {"devices", devices},
                         {"stages", runtime.stage_names},
                         {"read_bytes_per_token", read_bytes_per_token(options, runtime)},
                         {"kv_cache_dtype", options.config.scheduler.kv_cache_dtype},
                         {"prompt", options.prompt},
                         {"generate", options.generate},
                         {"sequences", options.sequences},
                         {"repeat", options.repeat}};
  if (options.memory) {
    json["memory_bytes_per_second"] = summary(rates.memory);
    json["decode_share_of_memory"] = summary(rates.memory_share);
  }
  if (!rates.int8.empty()) {
    json["operations_per_prompt_token"] = operations_per_prompt_token(options, runtime.spec());
    json["int8_operations_per_second"] = summary(rates.int8);
    json["prompt_share_of_int8"] = summary(rates.int8_share);
  }
  return json;
}

void print(const nlohmann::json& report, std::ostream& out) {
  const auto line = [&](const char* label, const char* key) {
    const auto& rate = report[key];
    out << label << rate["median"].get<double>() << " tokens/s (min " << rate["min"].get<double>()
        << ", max " << rate["max"].get<double>() << ")\n";
  };
  line("prompt  ", "prompt_tokens_per_second");
  line("decode  ", "decode_tokens_per_second");
  line("overall ", "total_tokens_per_second");
  const auto share = [&](const char* key) {
    const auto& of = report[key];
    out << 100 * of["median"].get<double>() << "% of that (min " << 100 * of["min"].get<double>()
        << ", max " << 100 * of["max"].get<double>() << ")\n";
  };
  if (report.contains("decode_share_of_memory")) {
    out << "memory  " << report["memory_bytes_per_second"]["median"].get<double>() / 1e9
        << " GB/s to read; decode reads " << report["read_bytes_per_token"].get<double>() / 1e6
        << " MB a token, ";
    share("decode_share_of_memory");
  }
  if (report.contains("prompt_share_of_int8")) {
    out << "int8    " << report["int8_operations_per_second"]["median"].get<double>() / 1e9
        << " GOP/s in dot products; a prompt takes "
        << report["operations_per_prompt_token"].get<double>() / 1e9 << " GOP a token, ";
    share("prompt_share_of_int8");
  }
  out << "resident " << report["resident_bytes"].get<uint64_t>() / (1 << 20) << " MiB\n";
}

}  // namespace

Status run_bench(const BenchOptions& options, std::ostream& out) {
  Config config = options.config;
  config.scheduler.max_sequences = std::max(config.scheduler.max_sequences, options.sequences);
  config.scheduler.max_queue = std::max(config.scheduler.max_queue, options.sequences);
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load_runtime(config, {}));
  const int vocab = runtime.spec().vocab_size;
  MKM_ASSIGN_OR_RETURN(const auto engine, make_engine(runtime, {}));
  const uint64_t loaded_peak = process_memory("VmHWM");
  std::optional<LimitRounds> limits;
  if (options.memory) limits.emplace(options, runtime);
  ProgressBar bar("measuring", options.progress);
  Rates rates;
  for (int i = 0; i <= options.repeat; ++i) {
    if (limits) limits->before();
    MKM_RETURN_IF_ERROR(run_round(*engine, options, vocab, i == 0 ? nullptr : &rates));
    if (limits && i > 0) limits->after(rates);
    bar.update(i, options.repeat);
  }
  const nlohmann::json result =
      report(options, runtime, rates, resident_without_probe(options, loaded_peak));
  if (options.json) {
    out << result.dump(2) << '\n';
  } else {
    print(result, out);
  }
  return absl::OkStatus();
}

}  // namespace mokume
