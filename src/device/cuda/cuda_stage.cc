#include "device/cuda/cuda_stage.h"

#include <algorithm>
#include <chrono>

namespace mokume::cuda {
namespace {

/// Recorded decode steps are padded to these, up to what the stage takes.
constexpr int kTokenBuckets[] = {1, 2, 4, 8, 16};
constexpr int kFirstPositionBucket = 4096;
constexpr int kPositionBucketFactor = 8;

Status check_mixer(int layer, const Attention& attention) {
  const int head_dim = attention.head_dim;
  if (head_dim % 16 == 0 && head_dim <= kMaxHeadDim) return absl::OkStatus();
  return invalid_argument("cuda", "layer ", layer, " has heads of ", head_dim,
                          " elements; CUDA devices run multiples of 16 up to ", kMaxHeadDim);
}

Status check_mixer(int layer, const DeltaNet& net) {
  if (net.conv_kernel < 2 || net.conv_kernel > kMaxConvKernel) {
    return invalid_argument("cuda", "layer ", layer, " convolves over ", net.conv_kernel,
                            " tokens; CUDA devices run 2 to ", kMaxConvKernel);
  }
  const auto fits = [](int dim) { return dim % 4 == 0 && dim <= kMaxDeltaDim; };
  if (fits(net.key_dim) && fits(net.value_dim)) return absl::OkStatus();
  return invalid_argument("cuda", "layer ", layer, " has value heads of ", net.key_dim, " x ",
                          net.value_dim, "; CUDA devices run multiples of 4 up to ", kMaxDeltaDim);
}

}  // namespace

CudaStage::CudaStage(const StageOptions& options, Gpu& gpu, DeviceWorker& worker,
                     std::string device)
    : options_(options),
      gpu_(gpu),
      worker_(worker),
      device_(std::move(device)),
      widths_(widths_of(options)),
      most_(largest_pass(options)) {}

CudaStage::~CudaStage() {
  while (const int left = steps_in_flight_.load()) steps_in_flight_.wait(left);
  worker_.run([this] {  // a Gpu takes calls from one thread
    graphs_.clear();
    prompts_ = {};
    stream_ = {};
    pinned_ = {};
    arena_ = {};
  });
}

Status CudaStage::load() {
  MKM_RETURN_IF_ERROR(check_options());
  MKM_ASSIGN_OR_RETURN(stream_, make_stream(gpu_));
  MKM_RETURN_IF_ERROR(allocate());
  MKM_RETURN_IF_ERROR(upload());
  return record_graphs();
}

Status CudaStage::check_options() const {
  const ModelSpec& spec = options_.model->spec;
  const int layers = static_cast<int>(spec.layers.size());
  if (options_.first_layer < 0 || options_.last_layer > layers ||
      options_.first_layer >= options_.last_layer) {
    return invalid_argument("cuda", "a stage of layers [", options_.first_layer, ", ",
                            options_.last_layer, ") of ", layers);
  }
  if (options_.weights == WeightFormat::kQ8_0) {
    return invalid_argument("cuda", "weights are not converted to q8_0 while they are loaded");
  }
  if (options_.observe) {
    return invalid_argument("cuda", "device ", device_, ": calibration runs on CPUs");
  }
  if (options_.kv == KvType::kInt16) {
    return invalid_argument("cuda", "keys and values are not kept as int16");
  }
  const GpuInfo& gpu = gpu_.info();
  if (options_.activations == Activations::kNvfp4 && gpu.major < 10) {
    return invalid_argument("cuda", "device ", device_, ", a ", gpu.name, " of capability ",
                            gpu.major, ".", gpu.minor,
                            ", does not multiply NVFP4 by NVFP4; 10.0 and up do: leave out "
                            "\"activations: nvfp4\"");
  }
  if (options_.page_tokens <= 0 || options_.page_tokens % 16 != 0) {
    return invalid_argument("cuda", "page_tokens must be a multiple of 16, not ",
                            options_.page_tokens);
  }
  for (int i = options_.first_layer; i < options_.last_layer; ++i) {
    MKM_RETURN_IF_ERROR(
        std::visit([&](const auto& mixer) { return check_mixer(i, mixer); }, spec.layers[i].mixer));
  }
  return absl::OkStatus();
}

// All of the device's memory in one block, planned before it is taken.
Status CudaStage::allocate() {
  StageWeights planned;
  Carver counting(nullptr, kPieceAlignment);
  MKM_RETURN_IF_ERROR(place_weights(options_, counting, planned));
  Workspace(counting, widths_, most_);
  if (!options_.exact) {
    MKM_RETURN_IF_ERROR(prompts_.choose(gpu_, planned, most_.tokens, options_.activations));
  }
  prompts_.place(counting, most_.tokens);
  const uint64_t inputs = input_bytes(most_);
  counting.take<std::byte>(inputs);
  MKM_ASSIGN_OR_RETURN(const uint64_t available, gpu_.free_memory());
  const uint64_t needed = counting.used();
  if (needed > available) {
    return resource_exhausted(
        "cuda", "device ", device_, ": layers ", options_.first_layer, "-", options_.last_layer - 1,
        " need ", needed >> 20, " MiB (", planned.weight_bytes >> 20, " MiB of it weights, ",
        planned.kv_bytes >> 20, " MiB KV cache, ", planned.state_bytes >> 20, " MiB states of ",
        options_.state_slots, " sequences) and ", available >> 20,
        " MiB are free: ", (needed - available) >> 20, " MiB are missing");
  }
  MKM_ASSIGN_OR_RETURN(arena_, DeviceBlock::allocate(gpu_, needed));
  Carver carver(arena_.data(), kPieceAlignment);
  MKM_RETURN_IF_ERROR(place_weights(options_, carver, weights_));
  space_ = Workspace(carver, widths_, most_);
  prompts_.place(carver, most_.tokens);
  device_inputs_ = carver.take<std::byte>(inputs);
  memory_bytes_ = needed;

  const auto carve_pinned = [&](Carver& pieces) {
    inputs_ = pieces.take<std::byte>(inputs);
    hidden_ = pieces.take<float>(static_cast<uint64_t>(most_.tokens) *
                                 static_cast<uint64_t>(widths_.hidden));
    logits_ = pieces.take<float>(static_cast<uint64_t>(kMaxDecodeTokens) *
                                 static_cast<uint64_t>(widths_.vocab));
  };
  Carver counting_pinned(nullptr, kPieceAlignment);
  carve_pinned(counting_pinned);
  MKM_ASSIGN_OR_RETURN(pinned_, PinnedBlock::allocate(gpu_, counting_pinned.used()));
  Carver pieces(pinned_.data(), kPieceAlignment);
  carve_pinned(pieces);
  return absl::OkStatus();
}

Status CudaStage::upload() {
  MKM_ASSIGN_OR_RETURN(Uploader uploader, Uploader::create(gpu_));
  MKM_RETURN_IF_ERROR(upload_weights(options_, weights_, uploader));
  // What padded tokens read is never more than what some token has left there: it has to be finite.
  auto* const begin = reinterpret_cast<std::byte*>(space_.hidden);
  Launches go(gpu_, stream_.get());
  go.zero(begin, static_cast<uint64_t>(arena_.data() + arena_.bytes() - begin));
  for (const LayerWeights& layer : weights_.layers) {
    const auto* net = std::get_if<DeltaNetWeights>(&layer.mixer);
    if (!net) continue;
    const auto slots = static_cast<uint64_t>(options_.state_slots);
    go.zero(net->states, slots * matrix_state_floats(*net->spec) * sizeof(float));
    go.zero(net->conv_states, slots * conv_state_floats(*net->spec) * sizeof(float));
  }
  MKM_RETURN_IF_ERROR(go.status());
  return gpu_.synchronize(stream_.get());
}

// A decode step is the same launches every time: recorded once for each number of tokens, they go
// out as one.
Status CudaStage::record_graphs() {
  for (const int tokens : kTokenBuckets) {
    if (tokens > 1 && tokens / 2 >= options_.max_tokens) break;
    for (int64_t positions = std::min(kFirstPositionBucket, most_.positions);;) {
      PassSize size;
      size.tokens = size.sequences = tokens;
      size.rows = options_.has_head ? tokens : 0;
      size.pages = static_cast<int>(div_up(positions, options_.page_tokens));
      size.positions = size.pages * options_.page_tokens;
      MKM_RETURN_IF_ERROR(record_graph(size));
      if (positions >= most_.positions) break;
      positions = std::min<int64_t>(positions * kPositionBucketFactor, most_.positions);
    }
  }
  return absl::OkStatus();
}

Status CudaStage::record_graph(const PassSize& size) {
  MKM_RETURN_IF_ERROR(gpu_.begin_capture(stream_.get()));
  Launches go(gpu_, stream_.get());
  put_pass(go, view_of(size, true, true));
  Result<GraphHandle> graph = gpu_.end_capture(stream_.get());
  if (graph.ok()) graphs_.push_back({size, OwnedGraph(gpu_, *graph)});
  return go.status().ok() ? graph.status() : go.status();
}

uint64_t CudaStage::state_bytes() const {
  uint64_t floats = 0;
  for (const LayerWeights& layer : weights_.layers) {
    const auto* net = std::get_if<DeltaNetWeights>(&layer.mixer);
    if (net) floats += matrix_state_floats(*net->spec) + conv_state_floats(*net->spec);
  }
  return floats * sizeof(float);
}

Status CudaStage::copy_states(int slot, size_t bytes,
                              const std::function<Status(std::byte*, size_t, size_t)>& copy) {
  if (slot < 0 || slot >= options_.state_slots || bytes != state_bytes()) {
    return invalid_argument("cuda", "states of slot ", slot, " in ", bytes, " bytes; there are ",
                            options_.state_slots, " slots of ", state_bytes());
  }
  Status status;
  worker_.run([&] {
    size_t offset = 0;
    const auto piece = [&](float* states, uint64_t floats) {
      float* const begin = states + static_cast<uint64_t>(slot) * floats;
      if (status.ok()) {
        status = copy(reinterpret_cast<std::byte*>(begin), floats * sizeof(float), offset);
      }
      offset += floats * sizeof(float);
    };
    for (const LayerWeights& layer : weights_.layers) {
      const auto* net = std::get_if<DeltaNetWeights>(&layer.mixer);
      if (!net) continue;
      piece(net->states, matrix_state_floats(*net->spec));
      piece(net->conv_states, conv_state_floats(*net->spec));
    }
    const Status done = gpu_.synchronize(stream_.get());
    if (status.ok()) status = done;
  });
  return status;
}

Status CudaStage::save_state(int slot, std::span<std::byte> bytes) {
  return copy_states(slot, bytes.size(), [&](std::byte* state, size_t size, size_t offset) {
    return gpu_.copy_to_host(stream_.get(), bytes.data() + offset, state, size);
  });
}

Status CudaStage::load_state(int slot, std::span<const std::byte> bytes) {
  return copy_states(slot, bytes.size(), [&](std::byte* state, size_t size, size_t offset) {
    return gpu_.copy_to_device(stream_.get(), state, bytes.data() + offset, size);
  });
}

void CudaStage::enqueue(const StageStep& step, std::function<void(Status)> done) {
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
  done(resource_exhausted("cuda", "device ", device_, ": too many steps are queued"));
  if (steps_in_flight_.fetch_sub(1) == 1) steps_in_flight_.notify_all();
}

}  // namespace mokume::cuda
