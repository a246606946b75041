// The memory that a stage's steps work in: sized once, for the largest step.
#pragma once

#include <vector>

#include "base/status.h"
#include "device/cpu/memory.h"
#include "device/device.h"
#include "kernels/cpu/kernels.h"

namespace mokume {

class Carver;

/// The largest widths among a stage's layers, in floats a token.
struct StageWidths {
  int hidden = 0;
  int q = 0;            ///< rows of an attention's q, channels of a DeltaNet
  int kv = 0;           ///< rows of an attention's k, value heads of a DeltaNet
  int mixed = 0;        ///< what a mixer gives to its last product
  int ffn = 0;          ///< or the gate of a mixer's output
  int rope = 0;         ///< dims, over all tables
  int group_state = 0;  ///< what a token's heads of one head of the keys have seen of a part
  int state = 0;        ///< what all of its heads have
  uint64_t parts = 0;   ///< of contexts, that a step of few tokens may keep such states of

  int widest_input() const;  ///< of any product
};

/// Inputs of products: rows, and the same rounded.
class InputRows {
 public:
  float* rows = nullptr;  ///< as wide as the product's input
  /// For a product with `columns` inputs.
  kernels::QuantizedRows quantized(int columns) const;
  /// What rounding lost.
  kernels::QuantizedRows residuals(int columns) const;
  /// The rows as integers of 14 bits.
  kernels::WideRows wide(int columns) const;
  uint16_t* bfloat16 = nullptr;  ///< the rows in BF16, as wide as the product's input

 private:
  friend class Workspace;
  kernels::QuantizedRows quantized_, residuals_;
  kernels::WideRows wide_;
};

/// Steps of at most so many tokens are run with inputs and results in each thread's own memory.
inline constexpr int kFewTokens = 8;
/// Panels of a piece of a product, at most.
inline constexpr int kMostPanels = 64;

/// A thread's own memory.
struct ThreadSpace {
  InputRows input;         ///< of kFewTokens rows
  float* spare = nullptr;  ///< one row, width widest_input()
  /// Results that are not yet in place: of kFewTokens rows of a piece of a product, of a mixer's
  /// outputs or of group_state, or of one token's q, k and v.
  float* out = nullptr;
  float* sums = nullptr;  ///< of a SliceProduct
};

/// Rows are tokens of the step; each pointer is [max_tokens][width].
class Workspace {
 public:
  static Result<Workspace> create(const StageWidths& widths, int max_tokens, int threads);
  static uint64_t bytes(const StageWidths& widths, int max_tokens, int threads);

  float* hidden = nullptr;
  float* finished = nullptr;  ///< width hidden
  float* q = nullptr;
  float* k = nullptr;
  float* v = nullptr;
  float* mixed = nullptr;
  float* gate = nullptr;
  float* up = nullptr;
  float* cos_sin = nullptr;  ///< width rope
  float* states = nullptr;   ///< [parts][state]
  InputRows input;           ///< of steps of many tokens
  std::vector<ThreadSpace> threads;

 private:
  void carve(Carver& carver, const StageWidths& widths, int max_tokens, int threads);

  Buffer storage_;
};

}  // namespace mokume
