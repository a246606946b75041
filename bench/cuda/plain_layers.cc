#include <algorithm>
#include <cstring>
#include <variant>

#include "base/checked.h"
#include "bench/cuda/layers.h"
#include "device/cuda/blocks.h"
#include "device/cuda/launches.h"
#include "device/cuda/passes.h"
#include "device/cuda/weights.h"
#include "device/cuda/workspace.h"
#include "device/worker.h"

namespace mokume::bench {
namespace {

using namespace cuda;

/// [tokens][width] each, of the widest layer.
struct Tensors {
  Tensors() = default;
  Tensors(Carver& carver, const Widths& widths, int tokens, int positions) {
    const auto rows = [&](int width) {
      return carver.take<float>(static_cast<uint64_t>(tokens) * static_cast<uint64_t>(width));
    };
    hidden = rows(widths.hidden);
    normed = rows(widths.hidden);
    projected = rows(widths.hidden);
    q = rows(widths.q);
    queries = rows(widths.q);
    k = rows(widths.kv);
    v = rows(widths.kv);
    beta = rows(widths.value_heads);
    decay = rows(widths.value_heads);
    gate = rows(widths.ffn);
    up = rows(widths.ffn);
    mixed = rows(widths.mixed);
    gated = rows(widths.mixed);
    scratch = carver.take<float>(
        attention_scratch_floats(tokens, widths.attention_heads, widths.head_dim, positions));
    query_rows = carver.take<int32_t>(static_cast<uint64_t>(tokens) *
                                      static_cast<uint64_t>(widths.attention_heads));
  }

  float *hidden = nullptr, *normed = nullptr, *projected = nullptr;
  float *q = nullptr, *queries = nullptr, *k = nullptr, *v = nullptr;
  float *beta = nullptr, *decay = nullptr, *gate = nullptr, *up = nullptr;
  float *mixed = nullptr, *gated = nullptr, *scratch = nullptr;
  int32_t* query_rows = nullptr;  ///< 0, 2, 4, ...: queries that have their gates behind them
};

class PlainLayers : public Layers {
 public:
  PlainLayers(const StageOptions& options, Gpu& gpu, const BenchKernels& kernels)
      : options_(options), gpu_(gpu), kernels_(kernels), widths_(widths_of(options)) {
    size_.tokens = size_.sequences = options.max_tokens;
    size_.pages = options.kv_pages / options.max_tokens;
    size_.positions = size_.pages * options.page_tokens;
  }

  ~PlainLayers() override {
    worker_.run([this] {  // a Gpu takes calls from one thread
      graph_ = {};
      stream_ = {};
      inputs_ = {};
      hidden_ = {};
      arena_ = {};
    });
  }

  Status load() {
    Status status;
    worker_.run([&] { status = load_here(); });
    return status;
  }

  // By way of a worker, as a stage's steps go.
  Status step(const DecodeShape& shape, const float* in, float* out) override {
    Status status;
    worker_.run([&] { status = step_here(shape, in, out); });
    return status;
  }

 private:
  Status load_here() {
    MKM_ASSIGN_OR_RETURN(stream_, make_stream(gpu_));
    StageWeights planned;
    Carver counting(nullptr, kPieceAlignment);
    MKM_RETURN_IF_ERROR(carve(counting, planned));
    MKM_ASSIGN_OR_RETURN(arena_, DeviceBlock::allocate(gpu_, counting.used()));
    Carver carver(arena_.data(), kPieceAlignment);
    MKM_RETURN_IF_ERROR(carve(carver, weights_));
    MKM_ASSIGN_OR_RETURN(inputs_, PinnedBlock::allocate(gpu_, input_bytes(size_)));
    MKM_ASSIGN_OR_RETURN(hidden_, PinnedBlock::allocate(gpu_, hidden_bytes()));
    MKM_RETURN_IF_ERROR(upload());
    MKM_RETURN_IF_ERROR(gpu_.begin_capture(stream_.get()));
    Launches go(gpu_, stream_.get());
    put_step(go);
    MKM_ASSIGN_OR_RETURN(const GraphHandle graph, gpu_.end_capture(stream_.get()));
    graph_ = OwnedGraph(gpu_, graph);
    return go.status();
  }

  Status step_here(const DecodeShape& shape, const float* in, float* out) {
    const DecodeStep made(shape);
    plan_.plan(made.step(), options_.page_tokens, false);
    Carver host(inputs_.data());
    fill_inputs(plan_[0], made.step(), size_, PassInputs(host, size_));
    std::memcpy(hidden_.data(), in, hidden_bytes());
    MKM_RETURN_IF_ERROR(gpu_.launch_graph(stream_.get(), graph_.get()));
    MKM_RETURN_IF_ERROR(gpu_.synchronize(stream_.get()));
    std::memcpy(out, hidden_.data(), hidden_bytes());
    return absl::OkStatus();
  }

  uint64_t hidden_bytes() const {
    return static_cast<uint64_t>(size_.tokens) * static_cast<uint64_t>(widths_.hidden) *
           sizeof(float);
  }

  Status carve(Carver& carver, StageWeights& weights) {
    MKM_RETURN_IF_ERROR(place_weights(options_, carver, weights));
    t_ = Tensors(carver, widths_, size_.tokens, size_.positions);
    device_inputs_ = carver.take<std::byte>(input_bytes(size_));
    return absl::OkStatus();
  }

  Status upload() {
    MKM_ASSIGN_OR_RETURN(Uploader uploader, Uploader::create(gpu_));
    MKM_RETURN_IF_ERROR(upload_weights(options_, weights_, uploader));
    std::vector<int32_t> rows;
    for (int i = 0; i < size_.tokens * widths_.attention_heads; ++i) rows.push_back(2 * i);
    MKM_RETURN_IF_ERROR(uploader.bytes(reinterpret_cast<const std::byte*>(rows.data()),
                                       rows.size() * sizeof(int32_t), t_.query_rows));
    return uploader.finish();
  }

  void put_step(Launches& go) {
    Carver device(device_inputs_);
    const PassInputs inputs(device, size_);
    view_.positions = inputs.positions;
    view_.sequences = inputs.sequences;
    view_.first_tokens = inputs.first_tokens;
    view_.page_table = inputs.page_table;
    view_.state_slots = inputs.state_slots;
    view_.page_stride = size_.pages;
    view_.tokens = view_.sequence_count = size_.tokens;
    go.copy_to_device(device_inputs_, inputs_.data(), input_bytes(size_));
    go.copy_to_device(t_.hidden, hidden_.data(), hidden_bytes());
    for (const LayerWeights& layer : weights_.layers) {
      norm(go, t_.hidden, layer.mixer_norm, t_.normed, size_.tokens, widths_.hidden);
      std::visit([&](const auto& mixer) { put_mixer(go, mixer); }, layer.mixer);
      norm(go, t_.hidden, layer.ffn_norm, t_.normed, size_.tokens, widths_.hidden);
      put_ffn(go, layer.ffn);
    }
    go.copy_to_host(hidden_.data(), t_.hidden, hidden_bytes());
  }

  void put_mixer(Launches& go, const AttentionWeights& mixer) {
    const Attention& spec = *mixer.spec;
    const int tokens = size_.tokens;
    product(go, mixer.q, t_.normed, t_.q);
    product(go, mixer.k, t_.normed, t_.k);
    product(go, mixer.v, t_.normed, t_.v);
    float* queries = t_.q;
    if (mixer.q_norm.weight) {
      queries = t_.queries;
      norm(go, t_.q, mixer.q_norm, queries, tokens * spec.heads, spec.head_dim,
           spec.output_gate ? t_.query_rows : nullptr);
    }
    if (mixer.k_norm.weight) {
      norm(go, t_.k, mixer.k_norm, t_.k, tokens * spec.kv_heads, spec.head_dim);
    }
    go("rope", kernels_.rope,
       RopeArgs{queries, t_.k, mixer.inverse_frequencies, spec.rope.magnitude, spec.rope.dims,
                spec.rope.interleaved, spec.heads, spec.kv_heads, spec.head_dim, view_});
    go("append", kernels_.append, AppendArgs{t_.k, t_.v, mixer.kv, view_});
    AttentionArgs attention;
    attention.q = queries;
    attention.out = t_.mixed;
    attention.heads = spec.heads;
    attention.scale = spec.scale;
    attention.kv = mixer.kv;
    attention.step = view_;
    attention.scratch = t_.scratch;
    attention.max_positions = size_.positions;
    go("attention", go.kernels().attention_decode, attention);
    const float* mixed = t_.mixed;
    if (spec.output_gate) {
      go("output gate", kernels_.output_gate,
         OutputGateArgs{t_.mixed, t_.q, t_.gated, spec.heads, spec.head_dim, tokens});
      mixed = t_.gated;
    }
    product(go, mixer.o, mixed, t_.projected);
    add(go);
  }

  void put_mixer(Launches& go, const DeltaNetWeights& mixer) {
    const DeltaNet& spec = *mixer.spec;
    const int tokens = size_.tokens, heads = spec.value_heads;
    product(go, mixer.qkv, t_.normed, t_.q);
    product(go, mixer.z, t_.normed, t_.gate);
    product(go, mixer.a, t_.normed, t_.k);
    product(go, mixer.b, t_.normed, t_.v);
    go("conv", kernels_.conv,
       ConvArgs{t_.q, mixer.conv, mixer.conv_states, t_.queries, spec.channels(), spec.conv_kernel,
                view_});
    const float of_queries = 1 / std::sqrt(static_cast<float>(spec.key_dim));
    go("query length", kernels_.length,
       LengthArgs{t_.queries, spec.channels(), spec.key_heads, spec.key_dim, tokens, of_queries});
    go("key length", kernels_.length,
       LengthArgs{t_.queries + spec.key_width(), spec.channels(), spec.key_heads, spec.key_dim,
                  tokens, 1.0f});
    go("decay", kernels_.decay,
       DecayArgs{t_.k, mixer.decay_rate, mixer.dt_bias, t_.decay, heads, tokens});
    go("beta", kernels_.sigmoid, SigmoidArgs{t_.v, t_.beta, tokens * heads});
    go("delta rule", kernels_.delta_rule,
       DeltaRuleArgs{t_.queries, t_.decay, t_.beta, mixer.states, t_.mixed, spec.key_heads, heads,
                     spec.key_dim, spec.value_dim, spec.tiled_heads, view_});
    go("gated norm", kernels_.gated_norm,
       GatedNormArgs{t_.mixed, t_.gate, mixer.norm.weight, mixer.norm.epsilon, t_.gated,
                     tokens * heads, spec.value_dim});
    product(go, mixer.o, t_.gated, t_.projected);
    add(go);
  }

  void put_ffn(Launches& go, const SwiGluWeights& ffn) {
    product(go, ffn.gate, t_.normed, t_.gate);
    product(go, ffn.up, t_.normed, t_.up);
    SiluMulArgs silu;
    silu.gate = t_.gate;
    silu.up = t_.up;
    silu.out = t_.mixed;
    silu.tokens = size_.tokens;
    silu.width = ffn.hidden;
    go("silu_mul", go.kernels().silu_mul, silu);
    product(go, ffn.down, t_.mixed, t_.projected);
    add(go);
  }

  void norm(Launches& go, float* x, const NormWeights& weights, float* out, int rows, int width,
            const int32_t* source_rows = nullptr) {
    RmsNormArgs args;
    args.x = x;
    args.weight = weights.weight;
    args.epsilon = weights.epsilon;
    args.out = out;
    args.rows = source_rows;
    args.tokens = rows;
    args.width = width;
    go("norm", go.kernels().rms_norm, args);
  }

  void product(Launches& go, const Matrix& matrix, const float* x, float* out) {
    MatvecArgs args;
    args.matrices[0] = matrix;
    args.outs[0] = out;
    args.count = 1;
    args.x = x;
    args.tokens = size_.tokens;
    go("product", go.kernels().matvec, args);
  }

  void add(Launches& go) {
    go("add", kernels_.add,
       AddArgs{t_.hidden, t_.projected, t_.hidden, size_.tokens * widths_.hidden});
  }

  const StageOptions options_;
  Gpu& gpu_;
  const BenchKernels& kernels_;
  DeviceWorker worker_;
  const Widths widths_;
  PassSize size_;
  OwnedStream stream_;
  DeviceBlock arena_;
  PinnedBlock inputs_, hidden_;
  StageWeights weights_;
  Tensors t_;
  std::byte* device_inputs_ = nullptr;
  StepView view_;
  OwnedGraph graph_;
  PassPlan plan_;
};

}  // namespace

Result<std::unique_ptr<Layers>> make_plain_layers(const StageOptions& options, Gpu& gpu,
                                                  const BenchKernels& kernels) {
  auto layers = std::make_unique<PlainLayers>(options, gpu, kernels);
  MKM_RETURN_IF_ERROR(layers->load());
  return layers;
}

}  // namespace mokume::bench
