// Kernels to measure against, as kernels/cuda/kernels.h has the product's: one op each, as a plain
// framework launches them, and loops that only read or copy memory.
//
// Activations are float32, [tokens][width]. A step has one token a sequence.
#pragma once

#include "kernels/cuda/kernels.h"

namespace mokume::bench {

/// Of queries and keys, in place.
struct RopeArgs {
  float* q = nullptr;  ///< [tokens][heads * head_dim]
  float* k = nullptr;  ///< [tokens][kv_heads * head_dim]
  const float* inverse_frequencies = nullptr;
  float magnitude = 1;
  int rope_dims = 0;
  bool interleaved = false;
  int heads = 0, kv_heads = 0, head_dim = 0;
  cuda::StepView step;
};

/// Keys and values into their pages, in F16.
struct AppendArgs {
  const float* k = nullptr;
  const float* v = nullptr;
  cuda::KvCache kv;
  cuda::StepView step;
};

/// out = a + b
struct AddArgs {
  const float* a = nullptr;
  const float* b = nullptr;
  float* out = nullptr;
  int count = 0;
};

/// out = sigmoid(x)
struct SigmoidArgs {
  const float* x = nullptr;
  float* out = nullptr;
  int count = 0;
};

/// out = x * sigmoid(gate), with gates that lie behind each head's query: [heads][query | gate].
struct OutputGateArgs {
  const float* x = nullptr;  ///< [tokens][heads * head_dim]
  const float* q = nullptr;  ///< [tokens][heads][2 * head_dim]
  float* out = nullptr;
  int heads = 0, head_dim = 0, tokens = 0;
};

/// out = silu(conv(qkv)); the input is kept in the ring of kernels/cuda's DeltaNetArgs.
struct ConvArgs {
  const float* qkv = nullptr;    ///< [tokens][channels]
  const float* conv = nullptr;   ///< [conv_kernel][channels]
  float* conv_states = nullptr;  ///< [slots][conv_kernel][channels]
  float* out = nullptr;
  int channels = 0, conv_kernel = 0;
  cuda::StepView step;
};

/// Each head of x to this length, in place.
struct LengthArgs {
  float* x = nullptr;  ///< head h of token t begins at t * stride + h * dim
  int stride = 0, heads = 0, dim = 0, tokens = 0;
  float length = 1;
};

/// out = exp(rate * softplus(a + bias))
struct DecayArgs {
  const float* a = nullptr;  ///< [tokens][heads]
  const float* rate = nullptr;
  const float* bias = nullptr;
  float* out = nullptr;
  int heads = 0, tokens = 0;
};

/// The delta rule alone.
struct DeltaRuleArgs {
  const float* qkv = nullptr;  ///< [tokens][query | key | value], of their lengths
  const float* decay = nullptr;
  const float* beta = nullptr;
  float* states = nullptr;  ///< [slots][value_heads][key_dim][value_dim]
  float* out = nullptr;     ///< [tokens][value_heads * value_dim]
  int key_heads = 0, value_heads = 0, key_dim = 0, value_dim = 0;
  bool tiled_heads = false;
  cuda::StepView step;
};

/// out = norm(x) * silu(z) of every head.
struct GatedNormArgs {
  const float* x = nullptr;  ///< [tokens * heads][dim]
  const float* z = nullptr;
  const float* weight = nullptr;  ///< [dim]
  float epsilon = 0;
  float* out = nullptr;
  int rows = 0, dim = 0;
};

/// Reads `bytes` (a multiple of 16), or copies them to `out` where there is one.
struct MemoryArgs {
  const void* from = nullptr;
  void* out = nullptr;
  uint32_t* sink = nullptr;  ///< [1], where a read leaves something once in a blue moon
  uint64_t bytes = 0;
};

struct BenchKernels {
  int (*rope)(const RopeArgs&, cuda::Stream);
  int (*append)(const AppendArgs&, cuda::Stream);
  int (*add)(const AddArgs&, cuda::Stream);
  int (*sigmoid)(const SigmoidArgs&, cuda::Stream);
  int (*output_gate)(const OutputGateArgs&, cuda::Stream);
  int (*conv)(const ConvArgs&, cuda::Stream);
  int (*length)(const LengthArgs&, cuda::Stream);
  int (*decay)(const DecayArgs&, cuda::Stream);
  int (*delta_rule)(const DeltaRuleArgs&, cuda::Stream);
  int (*gated_norm)(const GatedNormArgs&, cuda::Stream);
  int (*memory)(const MemoryArgs&, cuda::Stream);
};

const BenchKernels& bench_kernels_simt();
const BenchKernels* bench_kernels_cuda();  ///< null in a build without CUDA

}  // namespace mokume::bench
