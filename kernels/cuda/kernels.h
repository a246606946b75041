// The CUDA kernels: one table of functions, compiled twice from the same sources. cuda_kernels() is
// nvcc's, for GPUs; simt_kernels() is the host compiler's, for the executor of kernels/simt, which
// runs them on a CPU, checks them and counts what a GPU would pay for.
//
// Raw pointers and sizes only; no CUDA type, so that any host code may include this. Pointers are
// the device's unless they are said to be the host's. A function only launches: it returns before
// the work is done, 0 or the runtime's error number. Everything on one stream runs in order.
//
// Activations are float32 between kernels; a product rounds its input itself, where it multiplies
// on tensor cores. Each output element is added up in an order that depends on its own inputs and
// sizes only, never on which tokens are computed with it. Products that have a decode and a prompt
// version (matvec and gemm, the attentions, the delta nets) may differ in the last bits between
// the two.
//
// A step's rows of activations are its tokens. Where a step is padded to the size of a recorded
// graph, a padded token has position -1: kernels write nothing of it that outlives the step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/matrix.h"

namespace mokume::cuda {

/// Where launches go.
struct Stream {
  void* handle = nullptr;  ///< a cudaStream_t, or a simt::Queue*
  /// The kernel may start while the one before still runs, and waits for it itself (programmatic
  /// dependent launch, from sm_90 on).
  bool overlap = false;
};

/// Types of rows that a kernel writes for a product, and of keys and values.
enum class Element : uint8_t { kF32, kF16, kBF16, kInt8, kF8 };

constexpr size_t element_bytes(Element element) {
  switch (element) {
    case Element::kF32:
      return 4;
    case Element::kF16:
    case Element::kBF16:
      return 2;
    default:
      return 1;
  }
}

/// out[t] = row ids[t] of the table as float32; rows of ids outside [0, table.rows) become zero.
struct EmbedArgs {
  Matrix table;                  ///< [vocab, width]
  const int32_t* ids = nullptr;  ///< [tokens]
  float* out = nullptr;          ///< [tokens][width]
  int tokens = 0;
};

/// x += add; out = x * rsqrt(mean(x^2) + epsilon) * weight, as the input of a product.
/// kInt8 and kF8 rows have one scale each: value = scale * element.
struct RmsNormArgs {
  float* x = nullptr;             ///< [tokens][width]; written when there is an `add`
  const float* add = nullptr;     ///< [tokens][width], or null
  const float* weight = nullptr;  ///< [width], with 1 already added where a model is zero-centred;
                                  ///< null: out = x, only converted
  float epsilon = 0;
  void* out = nullptr;  ///< [tokens][width] of `element`
  Element element = Element::kF32;
  float* scales = nullptr;        ///< [tokens], for kInt8 and kF8
  const int32_t* rows = nullptr;  ///< [tokens] rows of x to take, or null: 0, 1, ...
  int tokens = 0;
  int width = 0;  ///< a multiple of 4
};

inline constexpr int kMaxDecodeTokens = 16;
inline constexpr int kMaxMatrices = 4;

/// What a product rounds its input to. Matrices in float32 are multiplied by float32 always.
enum class Inputs : uint8_t {
  kF32,     ///< multiplies floats: for exact answers
  k16Bits,  ///< multiplies on tensor cores
  kNvfp4,   ///< with matrices in kNvfp4 likewise, NVFP4 by NVFP4, else as k16Bits; on GPUs of
            ///< capability 12.0 only
};

/// Products of one input with up to four matrices, for 1..16 tokens:
/// out[i][t][n] (+)= sum over k of matrix[i][n][k] * norm(x[t])[k] (+ bias[n]).
struct MatvecArgs {
  Matrix matrices[kMaxMatrices];   ///< of one format and K
  float* outs[kMaxMatrices] = {};  ///< [tokens][matrices[i].rows]
  int count = 0;
  const float* x = nullptr;            ///< [tokens][K]
  const float* norm_weight = nullptr;  ///< [K]: multiply RMSNorm(x); null: x as it is
  const float* gate = nullptr;         ///< [tokens][K]: multiply x * sigmoid(gate); or null
  float epsilon = 0;
  int tokens = 0;
  bool accumulate = false;  ///< add to what is in `outs`: a residual
  Inputs inputs = Inputs::k16Bits;
};

/// out[t][n] = silu(gate[n] . norm(x[t])) * (up[n] . norm(x[t])), for 1..16 tokens.
struct GateUpArgs {
  Matrix gate, up;  ///< [hidden, K] of one format
  const float* x = nullptr;
  const float* norm_weight = nullptr;  ///< as in MatvecArgs
  float epsilon = 0;
  float* out = nullptr;  ///< [tokens][hidden]
  int tokens = 0;
  Inputs inputs = Inputs::k16Bits;
};

/// out[t][n] (+)= sum over k of matrix[n][k] * x[t][k] (+ bias[n]), for any number of tokens: what
/// prompts take where there is no cuBLASLt.
struct GemmArgs {
  Matrix matrix;
  const float* x = nullptr;  ///< [tokens][K]
  float* out = nullptr;      ///< [tokens][rows]
  int tokens = 0;
  bool accumulate = false;
};

/// out[t][n] (+)= sums[t][n] * x_scales[t] * row_scales[n] + bias[n]: what a library's product
/// leaves to be done. Without scales or bias, which may be null, it is as if they were 1 and 0.
struct RescaleArgs {
  const void* sums = nullptr;  ///< [tokens][rows] of float32, or of int32; may be `out`
  bool integers = false;
  const float* x_scales = nullptr;    ///< [tokens]
  const float* row_scales = nullptr;  ///< [rows]
  const float* bias = nullptr;        ///< [rows]
  float* out = nullptr;
  int tokens = 0;
  int rows = 0;
  bool accumulate = false;
};

/// A matrix as f16 or bf16 (or f32), for a library's product.
struct DequantizeArgs {
  Matrix matrix;
  void* out = nullptr;  ///< [rows][columns] of `element`
  Element element = Element::kF16;
};

/// Rows as NVFP4 the way a library reads them: column 2i in the low half of a row's byte i, scales
/// where block_scale_at() says. value = element * scale * factor of the row.
struct QuantizeNvfp4Args {
  const float* x = nullptr;  ///< [tokens][width]
  void* out = nullptr;       ///< [tokens][width / 2] bytes
  uint8_t* scales = nullptr;
  float* factors = nullptr;  ///< [tokens]
  int tokens = 0;
  int width = 0;  ///< a multiple of 32
};

/// An NVFP4 matrix likewise, but for its factor.
struct PackNvfp4Args {
  Matrix matrix;
  void* out = nullptr;  ///< [rows][columns / 2] bytes
  uint8_t* scales = nullptr;
};

/// out = silu(gate) * up, as the input of a product (as in RmsNormArgs).
struct SiluMulArgs {
  const float* gate = nullptr;  ///< [tokens][width]
  const float* up = nullptr;
  void* out = nullptr;
  Element element = Element::kF32;
  float* scales = nullptr;
  int tokens = 0;
  int width = 0;
};

inline constexpr int kMaxHeadDim = 256;
inline constexpr int kMaxRopePairs = kMaxHeadDim / 2;

/// Keys and values of one layer in pages of `page_tokens` positions:
/// [page][kv_head][page_tokens][head_dim] each; kInt8 and kF8 have one scale a head of a position,
/// [page][kv_head][page_tokens].
struct KvCache {
  void* keys = nullptr;
  void* values = nullptr;
  float* key_scales = nullptr;
  float* value_scales = nullptr;
  Element element = Element::kF16;
  int page_tokens = 16;  ///< a multiple of 16
  int kv_heads = 0;
  int head_dim = 0;  ///< a multiple of 16, at most kMaxHeadDim
};

/// Which sequence a step's tokens belong to, and where its pages and states are.
struct StepView {
  const int32_t* positions = nullptr;     ///< [tokens]; -1 where padded
  const int32_t* sequences = nullptr;     ///< [tokens]: index of the token's sequence in the step
  const int32_t* first_tokens = nullptr;  ///< [sequence_count + 1]: where a sequence's tokens begin
  const int32_t* page_table = nullptr;    ///< [sequence_count][page_stride]
  const int32_t* state_slots = nullptr;   ///< [sequence_count]
  int page_stride = 0;
  int tokens = 0;
  int sequence_count = 0;
};

/// Of each token's heads: q and k normed, rope, k and v into their page. q is changed in place.
struct RopeAppendArgs {
  float* q = nullptr;  ///< [tokens][heads * head_dim], or [tokens][heads][query | gate] with `gate`
  const float* k = nullptr;  ///< [tokens][kv_heads * head_dim]
  const float* v = nullptr;
  float* q_out = nullptr;         ///< [tokens][heads * head_dim]; may be q where there is no gate
  float* gate = nullptr;          ///< [tokens][heads * head_dim]: where the gates go; or null
  const float* q_norm = nullptr;  ///< [head_dim], or null
  const float* k_norm = nullptr;
  float q_epsilon = 0, k_epsilon = 0;
  const float* inverse_frequencies = nullptr;  ///< [rope_dims / 2]
  float magnitude = 1;
  int rope_dims = 0;
  bool interleaved = false;
  int heads = 0;
  KvCache kv;
  StepView step;
};

/// Causal softmax attention over the pages; out = attention (times sigmoid(gate)).
struct AttentionArgs {
  const float* q = nullptr;     ///< [tokens][heads * head_dim]
  const float* gate = nullptr;  ///< as q, or null
  float* out = nullptr;         ///< as q
  int heads = 0;
  float scale = 0;
  KvCache kv;
  StepView step;
  /// attention_decode only: partial results, attention_scratch_floats() of them, and how many
  /// positions at most a sequence of this step has (a bound, which sizes the grid).
  float* scratch = nullptr;
  int max_positions = 0;
};

inline constexpr int kAttentionSplit = 256;  ///< positions of one piece of attention_decode

/// Floats of scratch for `tokens` of `heads`, whose sequences have at most `max_positions`.
constexpr size_t attention_scratch_floats(int tokens, int heads, int head_dim, int max_positions) {
  const size_t pieces =
      (static_cast<size_t>(max_positions) + kAttentionSplit - 1) / kAttentionSplit;
  return pieces * tokens * heads * (static_cast<size_t>(head_dim) + 2);
}

inline constexpr int kMaxConvKernel = 8;
inline constexpr int kMaxDeltaDim = 128;

/// The gated delta rule between its products (model_spec.h's DeltaNet has the formulas): conv and
/// silu, lengths, gates, recurrence, and norm(out) * silu(z). delta_net_decode takes steps of one
/// token a sequence.
struct DeltaNetArgs {
  const float* qkv = nullptr;  ///< [tokens][2 * key_heads * key_dim + value_heads * value_dim]
  const float* z = nullptr;    ///< [tokens][value_heads * value_dim]
  const float* a = nullptr;    ///< [tokens][value_heads]
  const float* b = nullptr;
  const float* conv = nullptr;        ///< [conv_kernel][channels], the newest input last
  const float* decay_rate = nullptr;  ///< [value_heads]
  const float* dt_bias = nullptr;
  const float* norm_weight = nullptr;  ///< [value_dim]
  float epsilon = 0;
  float* states = nullptr;       ///< [slots][value_heads][key_dim][value_dim]
  float* conv_states = nullptr;  ///< [slots][conv_kernel][channels]: the input of position p lies
                                 ///< at p % conv_kernel. A sequence's first token sees zeros
                                 ///< whatever its slot held, here and in `states`
  float* out = nullptr;          ///< [tokens][value_heads * value_dim]
  float* scratch = nullptr;      ///< delta_net_prefill only: delta_net_scratch_floats()
  int key_heads = 0, value_heads = 0;
  int key_dim = 0, value_dim = 0;  ///< multiples of 4, at most kMaxDeltaDim
  int conv_kernel = 0;             ///< 2 .. kMaxConvKernel
  bool tiled_heads = false;        ///< value head h reads key head h % key_heads, otherwise
                                   ///< h / (value_heads / key_heads)
  StepView step;
};

/// Floats of scratch for a prompt step of `tokens`.
constexpr size_t delta_net_scratch_floats(int tokens, int channels, int value_heads) {
  return static_cast<size_t>(tokens) * (static_cast<size_t>(channels) + 2 * value_heads);
}

/// A token of each row of logits. top_k 1 is greedy: the first largest. Otherwise the candidates
/// are cut to the top_k largest, then to those with probability at least min_p times the largest,
/// then to the smallest set whose probabilities reach top_p, and `uniform` picks one, by ids.
struct SampleRow {
  float inverse_temperature = 1;
  float top_p = 1;    ///< (0, 1]
  float min_p = 0;    ///< [0, 1]
  float uniform = 0;  ///< [0, 1)
  int32_t top_k = 1;  ///< 1 .. kMaxTopK
};
inline constexpr int kMaxTopK = 128;
inline constexpr int kSampleSlices = 64;  ///< that a row is searched in
struct SampleArgs {
  const float* logits = nullptr;  ///< [rows][vocab]
  const SampleRow* rows = nullptr;
  int32_t* out = nullptr;    ///< [count]
  float* scratch = nullptr;  ///< sample_scratch_floats()
  int count = 0;
  int vocab = 0;
};

constexpr size_t sample_scratch_floats(int rows) {
  return static_cast<size_t>(rows) * 2 * kMaxTopK * kSampleSlices;
}

struct CudaKernels {
  const char* name;  ///< "cuda" or "simt"
  int (*embed)(const EmbedArgs&, Stream);
  int (*rms_norm)(const RmsNormArgs&, Stream);
  int (*matvec)(const MatvecArgs&, Stream);
  int (*gate_up)(const GateUpArgs&, Stream);
  int (*gemm)(const GemmArgs&, Stream);
  int (*rescale)(const RescaleArgs&, Stream);
  int (*dequantize)(const DequantizeArgs&, Stream);
  int (*quantize_nvfp4)(const QuantizeNvfp4Args&, Stream);
  int (*pack_nvfp4)(const PackNvfp4Args&, Stream);
  int (*silu_mul)(const SiluMulArgs&, Stream);
  int (*rope_append)(const RopeAppendArgs&, Stream);
  int (*attention_decode)(const AttentionArgs&, Stream);
  int (*attention_prefill)(const AttentionArgs&, Stream);
  int (*delta_net_decode)(const DeltaNetArgs&, Stream);
  int (*delta_net_prefill)(const DeltaNetArgs&, Stream);
  int (*sample)(const SampleArgs&, Stream);
};

const CudaKernels& cuda_kernels();  ///< in mokume_kernels_cuda, where MOKUME_CUDA is on
const CudaKernels& simt_kernels();  ///< in mokume_kernels_simt, on every machine

}  // namespace mokume::cuda
