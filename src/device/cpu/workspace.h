// The memory that a stage's steps work in: sized once, for the largest step.
#pragma once

#include "base/status.h"
#include "device/cpu/memory.h"
#include "device/device.h"
#include "kernels/cpu/kernels.h"

namespace mokume {

/// The largest widths among a stage's layers, in floats a token.
struct StageWidths {
  int hidden = 0;
  int q = 0;     ///< rows of an attention's q, channels of a DeltaNet
  int kv = 0;    ///< rows of an attention's k, value heads of a DeltaNet
  int ffn = 0;   ///< or the gate of a mixer's output
  int rope = 0;  ///< dims, over all tables

  int widest_input() const;  ///< of any product
};

/// Rows are tokens of the step; each pointer is [max_tokens][width].
class Workspace {
 public:
  static Result<Workspace> create(const StageWidths& widths, int max_tokens);
  static uint64_t bytes(const StageWidths& widths, int max_tokens);

  float* hidden = nullptr;
  float* normed = nullptr;  ///< width widest_input()
  float* q = nullptr;
  float* k = nullptr;
  float* v = nullptr;
  float* gate = nullptr;
  float* up = nullptr;
  float* cos_sin = nullptr;  ///< width rope
  /// The rows above as int8, for a product with `columns` inputs.
  kernels::QuantizedRows quantized(int columns) const;
  /// What rounding those lost, for a product with `columns` inputs.
  kernels::QuantizedRows residuals(int columns) const;

 private:
  Buffer storage_;
  kernels::QuantizedRows quantized_, residuals_;
};

}  // namespace mokume
