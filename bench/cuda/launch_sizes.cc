#include "bench/cuda/launch_sizes.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/kernels.h"
#include "kernels/simt/executor.h"

namespace mokume::bench {
namespace {

using namespace cuda;

constexpr int kHidden = 4096, kPrompt = 512, kPositions = 4096, kVocab = 248320;
constexpr Element kElements[] = {Element::kF32, Element::kF16, Element::kBF16, Element::kInt8,
                                 Element::kF8};

class Sizes : public simt::Queue {
 public:
  int submit(const simt::Launch& launch) override {
    // Some launches go by their op's name; kernels of several launches have names of their own.
    LaunchSize& size = sizes[kernel_.empty() ? launch.name : std::exchange(kernel_, {})];
    size.threads = static_cast<int>(launch.threads);
    size.shared_bytes = std::max(size.shared_bytes, launch.shared_bytes);
    return 0;
  }

  /// `kernel`: the name of the first that is launched, where it is not the launch's.
  template <typename Args>
  void launch(int (*op)(const Args&, Stream), const Args& args, std::string kernel = {}) {
    kernel_ = std::move(kernel);
    op(args, {static_cast<simt::Queue*>(this)});
  }

  std::map<std::string, LaunchSize> sizes;

 private:
  std::string kernel_;
};

Matrix matrix(Format format, int columns) {
  Matrix m;
  m.format = format;
  m.rows = kHidden;
  m.columns = columns;
  return m;
}

void add_products(Sizes& sizes, Format format) {
  const CudaKernels& k = simt_kernels();
  for (const int columns : {kHidden, 12288, 14336}) {
    for (const int tokens : {1, kMaxDecodeTokens}) {
      for (const Inputs inputs : {Inputs::kF32, Inputs::k16Bits, Inputs::kNvfp4}) {
        const bool floats = inputs == Inputs::kF32 || format == Format::kF32;
        const char* const kernel = floats ? "exact_products" : "products";
        MatvecArgs args;
        args.matrices[0] = matrix(format, columns);
        args.count = 1;
        args.tokens = tokens;
        args.inputs = inputs;
        sizes.launch(k.matvec, args, kernel);
        GateUpArgs pair;
        pair.gate = pair.up = matrix(format, columns);
        pair.tokens = tokens;
        pair.inputs = inputs;
        sizes.launch(k.gate_up, pair, kernel);
      }
    }
  }
  GemmArgs gemm;
  gemm.matrix = matrix(format, kHidden);
  gemm.tokens = kPrompt;
  sizes.launch(k.gemm, gemm);
  DequantizeArgs dequantize;
  dequantize.matrix = gemm.matrix;
  sizes.launch(k.dequantize, dequantize);
  EmbedArgs embed;
  embed.table = gemm.matrix;
  embed.tokens = kPrompt;
  sizes.launch(k.embed, embed);
}

void add_attention(Sizes& sizes, Element element, int heads, int kv_heads, int head_dim) {
  const CudaKernels& k = simt_kernels();
  KvCache kv;
  kv.element = element;
  kv.kv_heads = kv_heads;
  kv.head_dim = head_dim;
  StepView step;
  step.tokens = kPrompt;
  step.sequence_count = 1;
  RopeAppendArgs rope;
  rope.heads = heads;
  rope.kv = kv;
  rope.step = step;
  sizes.launch(k.rope_append, rope);
  AttentionArgs attention;
  attention.heads = heads;
  attention.kv = kv;
  attention.step = step;
  attention.max_positions = kPositions;
  sizes.launch(k.attention_prefill, attention);
  attention.step.tokens = 1;
  sizes.launch(k.attention_decode, attention, "attention_piece");
}

void add_delta_net(Sizes& sizes) {
  const CudaKernels& k = simt_kernels();
  DeltaNetArgs net;
  net.key_heads = 16;
  net.value_heads = 32;
  net.key_dim = net.value_dim = kMaxDeltaDim;
  net.conv_kernel = 4;
  net.step.tokens = net.step.sequence_count = 1;
  sizes.launch(k.delta_net_decode, net);
  sizes.launch(k.delta_net_prefill, net);
}

void add_rows(Sizes& sizes) {
  const CudaKernels& k = simt_kernels();
  for (const Element element : kElements) {
    RmsNormArgs norm;
    norm.element = element;
    norm.tokens = kPrompt;
    norm.width = kHidden;
    sizes.launch(k.rms_norm, norm);
    SiluMulArgs silu;
    silu.element = element;
    silu.tokens = kPrompt;
    silu.width = kHidden;
    sizes.launch(k.silu_mul, silu);
  }
  RescaleArgs rescale;
  rescale.tokens = kPrompt;
  rescale.rows = kHidden;
  sizes.launch(k.rescale, rescale);
  SampleArgs sample;
  sample.count = 1;
  sample.vocab = kVocab;
  sizes.launch(k.sample, sample);
}

}  // namespace

std::map<std::string, LaunchSize> launch_sizes() {
  Sizes sizes;
  for (int format = 0; format < kFormats; ++format) {
    add_products(sizes, static_cast<Format>(format));
  }
  for (const Element element : kElements) {
    add_attention(sizes, element, 16, 4, 256);
    add_attention(sizes, element, 32, 8, 128);
  }
  add_delta_net(sizes);
  add_rows(sizes);
  return std::move(sizes.sizes);
}

}  // namespace mokume::bench
