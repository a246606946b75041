// The CPU kernels: one table of functions for each instruction set, all with the same meaning.
//
// Raw pointers and sizes only; nothing here allocates, throws or waits. Every output element is
// computed in an order that depends only on its own inputs, never on how many tokens or rows are
// computed with it: a token's result is bit-identical alone, in a batch, and however the work is
// cut over threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kv_pages.h"
#include "kernels/cpu/packed.h"

namespace mokume::kernels {

/// Instruction sets, better ones later.
enum class Isa : uint8_t { kScalar, kAvx2, kAvxVnni, kAvx512Vnni, kNeonDot };
inline constexpr Isa kIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni,
                                Isa::kNeonDot};

/// Rows of activations rounded to int8, one scale a group of 32: value = scale * quant.
struct QuantizedRows {
  int8_t* values = nullptr;              ///< [rows][padded_columns]
  float* scales = nullptr;               ///< [rows][padded_columns / 32]
  float* scaled_sums = nullptr;          ///< scale * (sum of the group's quants)
  int32_t* negated_sums = nullptr;       ///< -(sum of the group's quants)
  int32_t* negated_half_sums = nullptr;  ///< the same of each 16: [rows][padded_columns / 16]
  int padded_columns = 0;                ///< K rounded up to 64

  int groups() const { return padded_columns / kGroup; }
};

/// Rows of activations rounded to integers of 14 bits, one scale a group of 32.
struct WideRows {
  int16_t* values = nullptr;  ///< [rows][padded_columns], of kWordLimit at most
  float* scales = nullptr;    ///< [rows][padded_columns / 32]
  int padded_columns = 0;     ///< K rounded up to 64

  int groups() const { return padded_columns / kGroup; }
};

/// out[t * out_stride + n] (+)= sum over k of w[n][k] * x[t][k]
struct MatmulOutput {
  float* data = nullptr;
  size_t stride = 0;        ///< floats between tokens
  bool accumulate = false;  ///< add to what is there
};

inline constexpr int kMaxConvKernel = 8;
inline constexpr int kStateBlock = 16;  ///< columns of a delta rule's state that lie together

/// A causal depthwise convolution of one sequence's tokens, in place, then silu:
/// rows[t][c] = silu(sum over j of weight[j][c] * input[t - kernel + 1 + j][c]).
struct ConvArgs {
  float* rows = nullptr;  ///< [tokens][channels]
  size_t stride = 0;      ///< floats between tokens
  float* state =
      nullptr;  ///< [kernel - 1][channels]: the inputs before token 0; then the last ones
  const float* weight = nullptr;  ///< [kernel][channels], the newest input last
  int kernel = 0;                 ///< 2 .. kMaxConvKernel
  int channels = 0;
};

/// The gated delta rule of one sequence in one value head, token by token:
/// S = decay S; S += key (beta (value - S^T key))^T; out = S^T query.
/// Columns of S do not depend on each other; they lie in blocks of 16, one behind the other.
struct DeltaRuleArgs {
  float* state = nullptr;        ///< S, [value_dim / 16][key_dim][16]
  const float* query = nullptr;  ///< [tokens][key_dim], as key and value `stride` floats apart
  const float* key = nullptr;
  const float* value = nullptr;  ///< [tokens][value_dim]
  size_t stride = 0;
  const float* decay = nullptr;  ///< [tokens], `gate_stride` floats apart, in (0, 1]
  const float* beta = nullptr;
  size_t gate_stride = 0;
  float* out = nullptr;  ///< [tokens][value_dim], `out_stride` floats apart
  size_t out_stride = 0;
  int key_dim = 0;    ///< a multiple of 4
  int value_dim = 0;  ///< a multiple of 16
};

struct CpuKernels {
  Isa isa;
  const char* name;

  /// `columns` floats of each of `rows` rows (x_stride apart) into out's rows from `first_row`.
  void (*quantize_rows)(const float* x, size_t x_stride, int rows, int columns, int first_row,
                        const QuantizedRows& out);

  /// What quantize_rows lost of the same rows, quantized in turn: a product of both, added, has
  /// activations of 16 bits.
  void (*quantize_residuals)(const float* x, size_t x_stride, int rows, int columns, int first_row,
                             const QuantizedRows& quantized, const QuantizedRows& out);

  /// quantize_rows for a product with int16. NaN becomes a number.
  void (*quantize_rows_wide)(const float* x, size_t x_stride, int rows, int columns, int first_row,
                             const WideRows& out);

  /// Panels [panel_begin, panel_end) for all `tokens`; w is of a quantized format that is not wide.
  void (*matmul_int8)(const PackedMatrix& w, int panel_begin, int panel_end, const QuantizedRows& x,
                      int tokens, const MatmulOutput& out);

  /// The same of a wide format.
  void (*matmul_int16)(const PackedMatrix& w, int panel_begin, int panel_end, const WideRows& x,
                       int tokens, const MatmulOutput& out);

  /// The same with float activations, any format.
  void (*matmul_f32)(const PackedMatrix& w, int panel_begin, int panel_end, const float* x,
                     size_t x_stride, int tokens, const MatmulOutput& out);

  /// out = x * rsqrt(mean(x^2) + epsilon) * weight
  void (*rms_norm)(const float* x, const float* weight, float epsilon, int columns, float* out);

  /// gate = silu(gate) * up
  void (*silu_mul)(float* gate, const float* up, int columns);

  /// x = x * sigmoid(gate)
  void (*sigmoid_mul)(float* x, const float* gate, int columns);

  /// x = x * length * rsqrt(sum of x^2 + epsilon)
  void (*scale_to_length)(float* x, float length, float epsilon, int columns);

  /// Channels [channel_begin, channel_end) of all `tokens`.
  void (*conv_silu)(const ConvArgs& args, int channel_begin, int channel_end, int tokens);

  /// Blocks [block_begin, block_end) of the state's and the output's columns, all `tokens`.
  void (*delta_rule)(const DeltaRuleArgs& args, int block_begin, int block_end, int tokens);

  /// Turns the first `dims` elements of each of `heads` heads in place; cos_sin holds dims/2
  /// cosines, then dims/2 sines. Pairs are neighbours when `interleaved`, else dims/2 apart.
  void (*rope)(float* x, int heads, int head_dim, int dims, bool interleaved, const float* cos_sin);

  /// Writes one position's keys and values ([kv_heads * head_dim] each) into its page.
  void (*kv_append)(const KvPages& kv, int page, int offset, const float* k, const float* v);

  /// Tokens [token_begin, token_end) of the query heads that read `kv_head`.
  void (*attention)(const AttentionArgs& args, int kv_head, int token_begin, int token_end);

  /// The same in two steps, for few tokens of a long context: what the heads see of one part, for
  /// every part up to the last token's, ...
  void (*attention_part)(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                         int part, const AttentionStates& states);
  /// ... and then all parts together. The result is that of `attention`, to the bit.
  void (*attention_merge)(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                          const AttentionStates& states);
};

/// Null when this build or this machine has no such instruction set.
const CpuKernels* cpu_kernels(Isa isa);

/// The best that the machine has.
const CpuKernels& best_cpu_kernels();

}  // namespace mokume::kernels
