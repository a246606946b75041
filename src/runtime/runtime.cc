#include "runtime/runtime.h"

#include <algorithm>
#include <cstdlib>

#include "device/cpu/cpu_device.h"
#include "device/cuda/cuda_device.h"

namespace mokume {
namespace {

cuda::SimulatedFaults faults_of(const FaultConfig& config) {
  cuda::SimulatedFaults faults;
  if (config.kind == "allocation") faults.allocation = config.at;
  if (config.kind == "launch") faults.launch = config.at;
  if (config.kind == "copy") faults.copy = config.at;
  if (config.kind == "asynchronous") faults.asynchronous = config.at;
  if (config.kind == "lost") faults.lost = config.at;
  return faults;
}

/// Nothing for a device that is in no file.
std::string where_of(const DeviceConfig& config) {
  return config.where.file.empty() ? "" : str_cat(", ", config.where.to_string());
}

Result<std::unique_ptr<Device>> make_device(const DeviceConfig& config) {
  if (config.kind == "cpu") {
    // For tests and for measuring: the instruction set is otherwise the best the machine has.
    const char* isa = std::getenv("MOKUME_CPU_ISA");
    CpuDeviceOptions options{config.name, config.threads, config.cores, isa ? isa : ""};
    options.numa_node = config.numa_node;
    auto device = make_cpu_device(options);
    if (device.ok()) return device;
    return Status(device.status().code(), str_cat(device.status().message(), " (device ",
                                                  config.name, where_of(config), ")"));
  }
  if (config.kind == "cuda") return make_cuda_device({config.name, {config.index, config.uuid}});
  if (config.kind == "cuda-sim") {
    cuda::SimulatedOptions options;
    options.device = config.name;
    options.faults = faults_of(config.fault);
    return make_simulated_cuda_device(options);
  }
  return invalid_argument("runtime", "device ", config.name, " is of the unknown kind \"",
                          config.kind, "\" (", config.where.to_string(), ")");
}

int most_step_tokens(const SchedulerConfig& scheduler) {
  return scheduler.prefill_chunk_tokens + scheduler.max_sequences;
}

Status make_stages(Runtime& runtime, const RuntimeOptions& options) {
  const int layers = static_cast<int>(runtime.spec().layers.size());
  const SchedulerConfig& scheduler = runtime.config.scheduler;
  for (size_t i = 0; i < runtime.plan.stages.size(); ++i) {
    const StageSpec& spec = runtime.plan.stages[i];
    const auto device = std::find_if(runtime.devices.begin(), runtime.devices.end(),
                                     [&](const auto& d) { return d->info().name == spec.device; });
    if (device == runtime.devices.end()) {
      return invalid_argument("runtime", "stage ", i, " is on the device ", spec.device,
                              ", which is not declared");
    }
    StageOptions stage;
    stage.model = runtime.loaded.model;
    stage.first_layer = spec.first_layer;
    stage.last_layer = spec.last_layer;
    stage.has_embedding = i == 0;
    stage.has_head = i + 1 == runtime.plan.stages.size();
    stage.exact = options.exact;
    stage.weights = spec.weights;
    stage.activations = spec.activations;
    stage.kv = spec.kv;
    stage.kv_pages = runtime.plan.kv_pages;
    stage.page_tokens = runtime.plan.page_tokens;
    stage.state_slots = runtime.plan.max_sequences;
    stage.max_tokens = most_step_tokens(scheduler);
    stage.max_logit_rows = std::max(options.max_logit_rows, scheduler.max_sequences);
    if (options.progress) {
      stage.progress = [&options, first = spec.first_layer, layers](int done, int) {
        options.progress(first + done, layers);
      };
    }
    MKM_ASSIGN_OR_RETURN(auto made, (*device)->make_stage(stage));
    runtime.stages.push_back(std::move(made));
    runtime.stage_names.push_back(str_cat(i, ":", spec.device));
  }
  return absl::OkStatus();
}

}  // namespace

Result<Runtime> plan_runtime(const Config& config, bool exact) {
  Runtime runtime;
  runtime.config = config;
  MKM_ASSIGN_OR_RETURN(runtime.loaded, load_model(config.model.path));
  MKM_ASSIGN_OR_RETURN(runtime.plan, plan_placement(runtime.spec(), config, exact));
  return runtime;
}

Result<Runtime> load_runtime(const Config& config, const RuntimeOptions& options) {
  MKM_ASSIGN_OR_RETURN(Runtime runtime, plan_runtime(config, options.exact));
  for (const DeviceConfig& device : config.devices) {
    MKM_ASSIGN_OR_RETURN(auto made, make_device(device));
    runtime.devices.push_back(std::move(made));
  }
  MKM_RETURN_IF_ERROR(make_stages(runtime, options));
  return runtime;
}

Result<std::unique_ptr<Engine>> make_engine(Runtime& runtime, EngineObserver observer) {
  EngineOptions options;
  options.max_sequences = runtime.config.scheduler.max_sequences;
  options.max_queue = runtime.config.scheduler.max_queue;
  options.prefill_chunk_tokens = runtime.config.scheduler.prefill_chunk_tokens;
  options.kv_pages = runtime.plan.kv_pages;
  options.page_tokens = runtime.plan.page_tokens;
  options.context_length = runtime.plan.context_length;
  options.vocab_size = runtime.spec().vocab_size;
  options.hidden_size = runtime.spec().hidden_size;
  return Engine::create(options, std::move(runtime.stages), runtime.stage_names,
                        std::move(observer));
}

}  // namespace mokume
