#include "device/cpu/cpu_stage.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>

#include "base/checked.h"
#include "device/worker.h"
#include "model/memory.h"

namespace mokume {
namespace {

void widen(const Attention& a, StageWidths& widths) {
  const int q = a.heads * a.head_dim;
  widths.q = std::max(widths.q, a.output_gate ? 2 * q : q);
  widths.kv = std::max(widths.kv, a.kv_heads * a.head_dim);
  widths.mixed = std::max(widths.mixed, q);
  if (a.output_gate) widths.ffn = std::max(widths.ffn, q);
  const int state = static_cast<int>(kernels::attention_state_floats(a.head_dim));
  widths.group_state = std::max(widths.group_state, a.heads / a.kv_heads * state);
  widths.state = std::max(widths.state, a.heads * state);
}

void widen(const DeltaNet& net, StageWidths& widths) {
  widths.q = std::max(widths.q, net.channels());
  widths.kv = std::max(widths.kv, net.value_heads);
  widths.mixed = std::max(widths.mixed, net.value_width());
  widths.ffn = std::max(widths.ffn, net.value_width());
}

StageWidths widths_of(const StageOptions& options) {
  StageWidths widths;
  widths.hidden = options.model->spec.hidden_size;
  // One token of each of as many sequences as the pages hold; each has a last part that is not
  // full.
  const auto positions = static_cast<uint64_t>(options.kv_pages) * options.page_tokens;
  widths.parts = positions / kernels::kAttentionPart + kFewTokens;
  for (int i = options.first_layer; i < options.last_layer; ++i) {
    const LayerSpec& layer = options.model->spec.layers[i];
    std::visit([&](const auto& mixer) { widen(mixer, widths); }, layer.mixer);
    widths.ffn = std::max(widths.ffn, std::get<SwiGlu>(layer.ffn).hidden);
  }
  return widths;
}

int max_rows(const StageOptions& options) {
  return std::max(options.max_tokens, options.max_logit_rows);
}

Status check_mixer(int layer, const Attention& attention) {
  const int head_dim = attention.head_dim;
  if (head_dim % 16 == 0 && head_dim <= kernels::kMaxHeadDim) return absl::OkStatus();
  return invalid_argument("cpu", "layer ", layer, " has heads of ", head_dim,
                          " elements; the CPU device runs multiples of 16 up to ",
                          kernels::kMaxHeadDim);
}

Status check_mixer(int layer, const DeltaNet& net) {
  if (net.conv_kernel < 2 || net.conv_kernel > kernels::kMaxConvKernel) {
    return invalid_argument("cpu", "layer ", layer, " convolves over ", net.conv_kernel,
                            " tokens; the CPU device runs 2 to ", kernels::kMaxConvKernel);
  }
  if (net.key_dim % 4 == 0 && net.value_dim % kernels::kStateBlock == 0) return absl::OkStatus();
  return invalid_argument("cpu", "layer ", layer, " has value heads of ", net.key_dim, " x ",
                          net.value_dim, "; the CPU device runs multiples of 4 x ",
                          kernels::kStateBlock);
}

Status check_options(const StageOptions& options) {
  const ModelSpec& spec = options.model->spec;
  if (options.first_layer < 0 || options.last_layer > static_cast<int>(spec.layers.size()) ||
      options.first_layer >= options.last_layer) {
    return invalid_argument("cpu", "a stage of layers [", options.first_layer, ", ",
                            options.last_layer, ") of ", spec.layers.size());
  }
  if (options.weights == WeightFormat::kQ8_0) {
    return invalid_argument("cpu", "weights are not converted to q8_0 while they are loaded");
  }
  if (options.activations != Activations::kAuto) {
    return invalid_argument("cpu", "activations are not rounded to ",
                            activations_name(options.activations), "; that is for GPUs");
  }
  if (options.kv == KvType::kF8) {
    return invalid_argument("cpu", "keys and values are not kept as fp8");
  }
  if (options.page_tokens <= 0 || options.page_tokens % 16 != 0) {
    return invalid_argument("cpu", "page_tokens must be a multiple of 16, not ",
                            options.page_tokens);
  }
  for (int i = options.first_layer; i < options.last_layer; ++i) {
    MKM_RETURN_IF_ERROR(
        std::visit([&](const auto& mixer) { return check_mixer(i, mixer); }, spec.layers[i].mixer));
  }
  return absl::OkStatus();
}

// Keys and values of the stage's pages in layers [first, last); what cannot be counted cannot be
// had.
uint64_t kv_bytes(const StageOptions& options, int first, int last) {
  const auto page = stage_kv_page_bytes(options.model->spec, first, last, options.page_tokens,
                                        options.kv_type(kCpuKvType));
  const auto all =
      page ? checked_mul(*page, static_cast<uint64_t>(options.kv_pages)) : std::nullopt;
  return all.value_or(std::numeric_limits<uint64_t>::max() / 2);
}

// Recurrent states of all the stage's slots in layers [first, last).
uint64_t states_bytes(const StageOptions& options, int first, int last) {
  const auto all = checked_mul(stage_state_bytes(options.model->spec, first, last),
                               static_cast<uint64_t>(options.state_slots));
  return all.value_or(std::numeric_limits<uint64_t>::max() / 4);
}

Status check_memory(const StageOptions& options, const StageWidths& widths, ProductEngines& engines,
                    int threads) {
  const uint64_t kv = kv_bytes(options, options.first_layer, options.last_layer);
  const uint64_t states = states_bytes(options, options.first_layer, options.last_layer);
  const uint64_t needed = weight_bytes(options, engines) + kv + states +
                          Workspace::bytes(widths, max_rows(options), threads) +
                          conversion_bytes(options);
  const uint64_t available = available_memory();
  if (needed <= available) return absl::OkStatus();
  return resource_exhausted("cpu", "layers ", options.first_layer, "-", options.last_layer - 1,
                            " need ", needed >> 20, " MiB (", kv >> 20, " MiB of it KV cache, ",
                            states >> 20, " MiB states of ", options.state_slots,
                            " sequences) and ", available >> 20,
                            " MiB are available: ", (needed - available) >> 20, " MiB are missing");
}

}  // namespace

CpuStage::CpuStage(const StageOptions& options, const kernels::CpuKernels& kernels,
                   ThreadPool& pool, DeviceWorker& worker)
    : options_(options),
      kernels_(kernels),
      pool_(pool),
      worker_(worker),
      widths_(widths_of(options)) {}

CpuStage::~CpuStage() {
  while (const int left = steps_in_flight_.load()) steps_in_flight_.wait(left);
}

Result<std::unique_ptr<Stage>> CpuStage::create(const StageOptions& options,
                                                const kernels::CpuKernels& kernels,
                                                ProductEngines& engines, ThreadPool& pool,
                                                DeviceWorker& worker) {
  MKM_RETURN_IF_ERROR(check_options(options));
  MKM_RETURN_IF_ERROR(check_memory(options, widths_of(options), engines, pool.threads()));
  std::unique_ptr<CpuStage> stage(new CpuStage(options, kernels, pool, worker));
  MKM_RETURN_IF_ERROR(stage->load(engines));
  return stage;
}

Status CpuStage::load(ProductEngines& engines) {
  MKM_ASSIGN_OR_RETURN(weights_, load_weights(options_, pool_, engines));
  for (const Rope* rope : weights_.ropes) widths_.rope += rope->dims;
  MKM_ASSIGN_OR_RETURN(space_, Workspace::create(widths_, max_rows(options_), pool_.threads()));
  memory_bytes_ = weight_bytes(options_, engines) +
                  Workspace::bytes(widths_, max_rows(options_), pool_.threads());
  for (int i = options_.first_layer; i < options_.last_layer; ++i) {
    const uint64_t kv = kv_bytes(options_, i, i + 1) / 2;  // keys and values take half each
    const uint64_t states = states_bytes(options_, i, i + 1);
    // A few positions of every layer would take two large pages a layer.
    for (const auto& [buffers, bytes, pages] : {std::tuple{&keys_, kv, Buffer::Pages::kSmall},
                                                {&values_, kv, Buffer::Pages::kSmall},
                                                {&states_, states, Buffer::Pages::kLarge}}) {
      MKM_ASSIGN_OR_RETURN(Buffer buffer, Buffer::allocate(bytes, pages));
      buffers->push_back(std::move(buffer));
      memory_bytes_ += bytes;
    }
  }
  token_sequence_.resize(static_cast<size_t>(options_.max_tokens));
  attention_items_.reserve(static_cast<size_t>(options_.max_tokens));
  attention_parts_.reserve(widths_.parts);
  last_attention_items_.reserve(static_cast<size_t>(options_.max_tokens));
  has_logits_.reserve(static_cast<size_t>(options_.max_tokens));
  plan(few_program_);
  plan(many_program_);
  return absl::OkStatus();
}

uint64_t CpuStage::state_bytes() const {
  return stage_state_bytes(options_.model->spec, options_.first_layer, options_.last_layer);
}

float* CpuStage::state(int layer, int slot) const {
  const size_t floats = states_[layer].bytes() / sizeof(float) / options_.state_slots;
  return states_[layer].as<float>() + static_cast<size_t>(slot) * floats;
}

// Calls copy(a slot's piece of a layer's states, where it begins in the caller's bytes).
Status CpuStage::copy_states(int slot, size_t bytes,
                             const std::function<void(std::span<std::byte>, size_t)>& copy) {
  if (slot < 0 || slot >= options_.state_slots || bytes != state_bytes()) {
    return invalid_argument("cpu", "states of slot ", slot, " in ", bytes, " bytes; there are ",
                            options_.state_slots, " slots of ", state_bytes());
  }
  worker_.run([&] {
    size_t offset = 0;
    for (size_t layer = 0; layer < states_.size(); ++layer) {
      const size_t size = states_[layer].bytes() / static_cast<size_t>(options_.state_slots);
      if (size == 0) continue;
      copy({reinterpret_cast<std::byte*>(state(static_cast<int>(layer), slot)), size}, offset);
      offset += size;
    }
  });
  return absl::OkStatus();
}

Status CpuStage::save_state(int slot, std::span<std::byte> bytes) {
  return copy_states(slot, bytes.size(), [&](std::span<std::byte> state, size_t offset) {
    std::memcpy(bytes.data() + offset, state.data(), state.size());
  });
}

Status CpuStage::load_state(int slot, std::span<const std::byte> bytes) {
  return copy_states(slot, bytes.size(), [&](std::span<std::byte> state, size_t offset) {
    std::memcpy(state.data(), bytes.data() + offset, state.size());
  });
}

void CpuStage::enqueue(const StageStep& step, std::function<void(Status)> done) {
  steps_in_flight_.fetch_add(1);
  const bool queued = worker_.submit([this, step, done] {
    const auto start = std::chrono::steady_clock::now();
    const Status status = run_step(step);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    busy_seconds_.store(busy_seconds_.load(std::memory_order_relaxed) + took.count(),
                        std::memory_order_relaxed);
    done(status);
    if (steps_in_flight_.fetch_sub(1) == 1) steps_in_flight_.notify_all();
  });
  if (queued) return;
  done(resource_exhausted("cpu", "too many steps are queued"));
  if (steps_in_flight_.fetch_sub(1) == 1) steps_in_flight_.notify_all();
}

}  // namespace mokume
