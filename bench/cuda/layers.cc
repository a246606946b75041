#include "bench/cuda/layers.h"

#include <numeric>
#include <optional>
#include <variant>

namespace mokume::bench {
namespace {

using namespace cuda;

constexpr double kF32 = sizeof(float);
constexpr int kPageTokens = 16;

/// Builds a layer's ops. Every tensor between two ops is one piece of memory, as in the stage.
class Builder {
 public:
  Builder(Arena& arena, int hidden, Format format, const DecodeShape& shape)
      : arena_(arena), hidden_(hidden), format_(format), shape_(shape) {
    const auto tokens = static_cast<size_t>(shape.tokens);
    const int pages = (shape.positions + kPageTokens - 1) / kPageTokens;
    std::vector<int32_t> table(tokens * static_cast<size_t>(pages)), each(tokens + 1);
    std::iota(table.begin(), table.end(), 0);
    std::iota(each.begin(), each.end(), 0);
    step_.positions = arena.put(std::vector<int32_t>(tokens, shape.positions - 1));
    step_.sequences = step_.first_tokens = step_.state_slots = arena.put(each);
    step_.page_table = arena.put(table);
    step_.page_stride = pages;
    step_.tokens = step_.sequence_count = shape.tokens;
    x_ = rows(hidden);
    norm_ = arena.zeros<float>(static_cast<size_t>(hidden));
  }

  void mixer(const Attention& spec) {
    const int width = spec.heads * spec.head_dim, kv_width = spec.kv_heads * spec.head_dim;
    float* const q = rows(spec.output_gate ? 2 * width : width);
    float *const k = rows(kv_width), *const v = rows(kv_width);
    float* const out = rows(width);
    matvec("matvec q k v", {{&spec.q, q}, {&spec.k, k}, {&spec.v, v}}, x_, true, false);
    rope_append(spec, q, k, v);
    attention(spec, out);
    matvec("matvec o", {{&spec.o, x_}}, out, false, true);
  }

  void mixer(const DeltaNet& spec) {
    DeltaNetArgs args;
    float *const qkv = rows(spec.channels()), *const z = rows(spec.value_width());
    float *const a = rows(spec.value_heads), *const b = rows(spec.value_heads);
    // The two small ones are never below 16 bits (quantize/rule.h); a launch takes one format.
    if (bits(format_) < 16) {
      matvec("matvec qkv z", {{&spec.qkv, qkv}, {&spec.z, z}}, x_, true, false);
      matvec("matvec a b", {{&spec.a, a, Format::kBF16}, {&spec.b, b, Format::kBF16}}, x_, true,
             false);
    } else {
      matvec("matvec qkv z a b", {{&spec.qkv, qkv}, {&spec.z, z}, {&spec.a, a}, {&spec.b, b}}, x_,
             true, false);
    }
    const size_t states = static_cast<size_t>(spec.value_width()) * spec.key_dim;
    const auto channels = static_cast<size_t>(spec.channels());
    const auto kernel = static_cast<size_t>(spec.conv_kernel);
    args.qkv = qkv;
    args.z = z;
    args.a = a;
    args.b = b;
    args.conv = arena_.zeros<float>(kernel * channels);
    args.decay_rate = arena_.zeros<float>(static_cast<size_t>(spec.value_heads));
    args.dt_bias = arena_.zeros<float>(static_cast<size_t>(spec.value_heads));
    args.norm_weight = arena_.zeros<float>(static_cast<size_t>(spec.value_dim));
    args.epsilon = spec.norm.epsilon;
    args.states = arena_.zeros<float>(tokens() * states);
    args.conv_states = arena_.zeros<float>(tokens() * kernel * channels);
    args.out = rows(spec.value_width());
    args.key_heads = spec.key_heads;
    args.value_heads = spec.value_heads;
    args.key_dim = spec.key_dim;
    args.value_dim = spec.value_dim;
    args.conv_kernel = spec.conv_kernel;
    args.tiled_heads = spec.tiled_heads;
    args.step = step_;
    const double once = static_cast<double>(kernel * channels) + 2.0 * spec.value_heads +
                        static_cast<double>(spec.value_dim);
    // The states come and go; of the convolution's the last kernel - 1 come and the newest goes.
    const double each = 2.0 * static_cast<double>(states) +
                        static_cast<double>((1 + kernel) * channels) +
                        2.0 * (spec.value_width() + spec.value_heads);
    add("delta_net_decode", simt_kernels().delta_net_decode, args,
        kF32 * (once + each * shape_.tokens));
    matvec("matvec o", {{&spec.o, x_}}, args.out, false, true);
  }

  void ffn(const SwiGlu& spec) {
    GateUpArgs args;
    args.gate = matrix(spec.gate, format_);
    args.up = matrix(spec.up, format_);
    args.x = x_;
    args.norm_weight = norm_;
    args.epsilon = 1e-6f;
    args.out = rows(spec.hidden);
    args.tokens = shape_.tokens;
    add("gate_up", simt_kernels().gate_up, args,
        bytes(args.gate) + bytes(args.up) +
            kF32 * (hidden_ + static_cast<double>(shape_.tokens) * (hidden_ + spec.hidden)));
    matvec("matvec down", {{&spec.down, x_}}, args.out, false, true);
  }

  std::vector<Op> take() { return std::move(ops_); }

 private:
  struct Product {
    const Linear* linear;
    float* out;
    std::optional<Format> format = {};  ///< the layer's without
  };

  size_t tokens() const { return static_cast<size_t>(shape_.tokens); }
  float* rows(int width) { return arena_.zeros<float>(tokens() * static_cast<size_t>(width)); }

  template <typename Args>
  void add(const char* name, int (*op)(const Args&, Stream), const Args& args, double least) {
    ops_.push_back({name, [op, args](Stream stream) { return op(args, stream); }, least});
  }

  Matrix matrix(const Linear& linear, Format format) {
    Matrix m;
    m.format = format;
    m.rows = static_cast<int>(linear.weight.shape[0]);
    m.columns = static_cast<int>(linear.weight.shape[1]);
    m.data = arena_.zeros<uint8_t>(data_bytes(format, m.rows, m.columns));
    if (const size_t scales = scales_bytes(format, m.rows, m.columns)) {
      m.scales = arena_.zeros<uint8_t>(scales);
      if (has_minimums(format)) m.minimums = arena_.zeros<uint8_t>(scales);
    }
    return m;
  }
  static double bytes(const Matrix& m) {
    const double scales = static_cast<double>(scales_bytes(m.format, m.rows, m.columns));
    return static_cast<double>(data_bytes(m.format, m.rows, m.columns)) +
           scales * (has_minimums(m.format) ? 2 : 1);
  }

  void matvec(const char* name, std::initializer_list<Product> products, const float* x, bool norm,
              bool accumulate) {
    MatvecArgs args;
    double least = 0;
    for (const Product& product : products) {
      const Matrix m = matrix(*product.linear, product.format.value_or(format_));
      args.matrices[args.count] = m;
      args.outs[args.count++] = product.out;
      least += bytes(m) + kF32 * m.rows * shape_.tokens * (accumulate ? 2 : 1);
    }
    const int columns = args.matrices[0].columns;
    args.x = x;
    args.norm_weight = norm ? norm_ : nullptr;
    args.epsilon = 1e-6f;
    args.tokens = shape_.tokens;
    args.accumulate = accumulate;
    least += kF32 * columns * (shape_.tokens + (norm ? 1 : 0));
    add(name, simt_kernels().matvec, args, least);
  }

  void rope_append(const Attention& spec, float* q, float* k, float* v) {
    const int width = spec.heads * spec.head_dim, kv_width = spec.kv_heads * spec.head_dim;
    const size_t cached = tokens() * static_cast<size_t>(step_.page_stride) * kPageTokens *
                          static_cast<size_t>(kv_width);
    kv_.keys = arena_.zeros<uint16_t>(cached);
    kv_.values = arena_.zeros<uint16_t>(cached);
    kv_.element = Element::kF16;
    kv_.page_tokens = kPageTokens;
    kv_.kv_heads = spec.kv_heads;
    kv_.head_dim = spec.head_dim;
    RopeAppendArgs args;
    args.q = q;
    args.k = k;
    args.v = v;
    args.q_out = spec.output_gate ? rows(width) : q;
    args.gate = spec.output_gate ? rows(width) : nullptr;
    if (spec.q_norm) args.q_norm = arena_.zeros<float>(static_cast<size_t>(spec.head_dim));
    if (spec.k_norm) args.k_norm = arena_.zeros<float>(static_cast<size_t>(spec.head_dim));
    args.inverse_frequencies = arena_.zeros<float>(static_cast<size_t>(spec.rope.dims / 2));
    args.rope_dims = spec.rope.dims;
    args.interleaved = spec.rope.interleaved;
    args.heads = spec.heads;
    args.kv = kv_;
    args.step = step_;
    queries_ = args.q_out;
    gate_ = args.gate;
    const double heads = (spec.output_gate ? 4.0 : 2.0) * width + 2.0 * kv_width;
    add("rope_append", simt_kernels().rope_append, args,
        shape_.tokens * (kF32 * heads + 2.0 * kv_width * sizeof(uint16_t)));
  }

  void attention(const Attention& spec, float* out) {
    const double width = static_cast<double>(spec.heads) * spec.head_dim;
    AttentionArgs args;
    args.q = queries_;
    args.gate = gate_;
    args.out = out;
    args.heads = spec.heads;
    args.scale = spec.scale;
    args.kv = kv_;
    args.step = step_;
    args.max_positions = shape_.positions;
    args.scratch = arena_.zeros<float>(
        attention_scratch_floats(shape_.tokens, spec.heads, spec.head_dim, shape_.positions));
    const double cached = 2.0 * spec.kv_heads * spec.head_dim * sizeof(uint16_t) * shape_.positions;
    add("attention_decode", simt_kernels().attention_decode, args,
        shape_.tokens * (cached + kF32 * width * (gate_ ? 3 : 2)));
  }

  Arena& arena_;
  const int hidden_;
  const Format format_;
  const DecodeShape shape_;
  StepView step_;
  KvCache kv_;
  float *x_, *queries_ = nullptr, *gate_ = nullptr;
  const float* norm_;
  std::vector<Op> ops_;
};

}  // namespace

const char* name_of(Format format) {
  constexpr const char* kNames[kFormats] = {"f32", "f16", "bf16",   "fp8",  "int8",
                                            "q8",  "q4",  "q4_min", "nvfp4"};
  return kNames[static_cast<int>(format)];
}

std::vector<Op> ops_of(Arena& arena, const LayerSpec& layer, int hidden, Format format,
                       const DecodeShape& shape) {
  Builder builder(arena, hidden, format, shape);
  std::visit([&](const auto& mixer) { builder.mixer(mixer); }, layer.mixer);
  std::visit([&](const auto& ffn) { builder.ffn(ffn); }, layer.ffn);
  return builder.take();
}

}  // namespace mokume::bench
