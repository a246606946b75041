// The memory that a stage's passes work in: sized once, for the largest pass.
#pragma once

#include <span>

#include "device/carver.h"
#include "device/cuda/passes.h"
#include "device/device.h"
#include "kernels/cuda/kernels.h"

namespace mokume::cuda {

/// The largest widths among a stage's layers, in floats a token.
struct Widths {
  int hidden = 0;
  int q = 0;      ///< rows of an attention's q with its gates, channels of a DeltaNet
  int kv = 0;     ///< rows of an attention's k, value heads of a DeltaNet
  int mixed = 0;  ///< inputs of o and down
  int ffn = 0;    ///< or the gates of a mixer's output
  int attention_heads = 0, head_dim = 0;    ///< of the attention with most heads * head_dim
  int delta_channels = 0, value_heads = 0;  ///< of the widest DeltaNet
  int vocab = 0;                            ///< of a stage with the head
};

Widths widths_of(const StageOptions& options);

/// How large a pass is, or what a recorded one is padded to.
struct PassSize {
  int tokens = 0;
  int sequences = 0;
  int rows = 0;       ///< of logits
  int positions = 0;  ///< a bound on those of a sequence
  int pages = 0;      ///< of a sequence: the stride of the table
};

/// The largest pass.
PassSize largest_pass(const StageOptions& options);

/// In the device's memory; each pointer is [tokens][width].
struct Workspace {
  Workspace(Carver& carver, const Widths& widths, const PassSize& most);
  Workspace() = default;

  float* hidden = nullptr;
  float* normed = nullptr;  ///< as hidden
  float* q = nullptr;
  float* queries = nullptr;  ///< width mixed: q without its gates
  float* k = nullptr;
  float* v = nullptr;
  float* gate = nullptr;  ///< width ffn
  float* up = nullptr;    ///< width ffn
  float* mixed = nullptr;
  float* scratch = nullptr;
  float* logits = nullptr;  ///< [kMaxDecodeTokens][vocab]
};

/// What a pass reads besides activations, as one block that is copied at once.
struct PassInputs {
  PassInputs(Carver& carver, const PassSize& size);

  int32_t* ids;           ///< [tokens]
  int32_t* positions;     ///< [tokens]
  int32_t* sequences;     ///< [tokens]
  int32_t* first_tokens;  ///< [sequences + 1]
  int32_t* state_slots;   ///< [sequences]
  int32_t* rows;          ///< [rows]
  int32_t* page_table;    ///< [sequences][pages]
  uint64_t bytes = 0;
};

/// Bytes of the inputs of a pass.
uint64_t input_bytes(const PassSize& size);

/// Whether a pass that runs as one of `size` brings a row of logits for every token, rather than
/// those that are wanted, in their order.
inline bool rows_are_tokens(const Pass& pass, const PassSize& size) {
  return static_cast<size_t>(size.rows) != pass.rows.size();
}

/// Fills `inputs`, of a block in the host's memory made for `size`. A pass that is padded has one
/// token of each sequence; what is padded gets position -1.
void fill_inputs(const Pass& pass, const StageStep& step, const PassSize& size,
                 const PassInputs& inputs);

}  // namespace mokume::cuda
